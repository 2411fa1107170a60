"""Rows put to disk by what they belong to, so that all that belongs together can be taken back.

A put is one file, sorted by shelf and cut into small groups of rows whose statistics name their
shelves: taking one shelf reads little else. Memory holds what is put, or taken, at once.
"""

from pathlib import Path

import polars as pl

_SHELF = "_shelf"


class Shelves:
    """So many shelves of rows of one kind, in a folder of their own."""

    def __init__(self, folder: Path, count: int) -> None:
        folder.mkdir(mode=0o700)
        self._folder, self.count = folder, count
        self._files: list[Path] = []

    def put(self, rows: pl.DataFrame, key: pl.Expr) -> None:
        """Add rows, each to the shelf that its key falls on."""
        if rows.is_empty():
            return
        path = self._folder / f"{len(self._files):06d}.parquet"
        shelf = (key.hash() % self.count).cast(pl.UInt32)
        rows.with_columns(shelf.alias(_SHELF)).sort(_SHELF, maintain_order=True).write_parquet(
            path,
            compression="lz4",
            statistics=True,
            row_group_size=max(1_000, rows.height // self.count),
        )
        self._files.append(path)

    def take(self, shelf: int) -> pl.DataFrame | None:
        """Return the rows of one shelf in the order they were put; None where nothing was."""
        if not self._files:
            return None
        rows = pl.scan_parquet(self._files, glob=False, low_memory=True)
        return rows.filter(pl.col(_SHELF) == shelf).drop(_SHELF).collect(engine="streaming")
