"""Names of a shard's files."""

from __future__ import annotations

from pathlib import Path

SEAL, RECORDS, SHAPES = "shard.json", "samples.jsonl", "shapes"
HOLE = "failed"
"""Key in the record of a sample that was left out: why it failed."""


def shard_folder(dataset: Path, shard: int) -> Path:
    """Return the folder of a shard."""
    return dataset / "shards" / f"{shard:06d}"
