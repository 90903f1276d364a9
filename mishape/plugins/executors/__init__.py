"""Executors beyond one process and its children."""
