"""What changes when a volume's files do."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mishape.engine.files import canonical


def stamp_of(place: str | Path) -> str:
    """Return a hash of names, sizes and times of all files of a volume; an empty text for one behind a URL."""
    text = str(place)
    if "://" in text:
        return ""
    root = Path(text.partition(":/")[0])
    files = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else [root]
    stats = [(path.relative_to(root).as_posix(), path.stat()) for path in files if path.exists()]
    facts = [(name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in stats]
    return hashlib.sha256(canonical(facts).encode()).hexdigest()
