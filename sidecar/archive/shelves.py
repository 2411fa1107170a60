"""Rows put to disk by what they belong to, so that all that belongs together can be taken back.

Each shelf has its own small files, so taking one reads nothing of the others. Memory holds what
is waiting to be written, some tens of megabytes, or the one shelf that is taken.
"""

from pathlib import Path

import polars as pl

_SHELF = "_shelf"
#: Bytes that wait to be written together; less would make more files, of fewer rows.
_WAITING = 48_000_000


class Shelves:
    """So many shelves of rows of one kind, in a folder of their own."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self.count = folder, count
        folder.mkdir(mode=0o700)
        for shelf in range(count):
            self._of(shelf).mkdir(mode=0o700)
        self._waiting: list[pl.DataFrame] = []
        self._bytes = 0
        self._writes = 0

    def put(self, rows: pl.DataFrame, key: pl.Expr) -> None:
        """Add rows, each to the shelf that its key falls on."""
        shelf = (key.hash() % self.count).cast(pl.UInt32)
        self._waiting.append(rows.with_columns(shelf.alias(_SHELF)))
        self._bytes += int(rows.estimated_size())
        if self._bytes >= _WAITING:
            self._write()

    def take(self, shelf: int) -> pl.DataFrame | None:
        """Return the rows of one shelf in the order they were put; None where nothing was."""
        self._write()
        files = sorted(self._of(shelf).iterdir())
        return pl.concat([pl.read_ipc(file) for file in files]) if files else None

    def _of(self, shelf: int) -> Path:
        return self._folder / str(shelf)

    def _write(self) -> None:
        if not self._waiting:
            return
        parts = pl.concat(self._waiting).partition_by(
            _SHELF, as_dict=True, include_key=False, maintain_order=True
        )
        self._waiting, self._bytes = [], 0
        for (shelf,), rows in parts.items():
            rows.write_ipc(self._of(shelf) / f"{self._writes:06d}.arrow", compression="lz4")
        self._writes += 1
