"""The same image made in many ways: what `bench_peers` compares.

Each package's ways stand in a module of their own (`with_mishape`, `by_hand`, `with_microsim`, `with_deeptrack`). Every
way runs in a process of its own, on one thread, so that no settings or caches of one touch another.
"""
