"""The files of a stored model: listed and hashed."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from desireline.trainer.models.manifest import FileRecord


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
