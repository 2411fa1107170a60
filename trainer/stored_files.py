"""The files of a stored model: listed, hashed, and surely on the disk."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from desireline.trainer.manifest import FileRecord


def file_names(folder: Path) -> Iterator[str]:
    """Yield every file below a folder, and every link, relative to it."""
    for parent, folders, files in os.walk(folder):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for name in [*files, *links]:
            yield Path(parent, name).relative_to(folder).as_posix()


def record(path: Path) -> FileRecord:
    """Return size and SHA-256 of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileRecord(sha256=digest, bytes=file.tell())


def sync(folder: Path) -> None:
    """Have every byte on the disk before the model gets its name."""
    for parent, _, files in os.walk(folder):
        for name in files:
            with Path(parent, name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(parent))


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
