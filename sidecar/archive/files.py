"""The Parquet files of an event archive: a part is one file of one day and table."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import polars as pl
import polars.selectors as cs
from polars.exceptions import PolarsError

from desireline.sidecar.archive.ledger import Ledger, Part
from desireline.sidecar.errors import ArchiveBrokenError, SidecarError
from desireline.trainer.logs.frames import SCHEMAS
from desireline.trainer.models.disk_sync import sync_path

Change = Callable[[str, pl.LazyFrame], pl.LazyFrame]
"""Takes a table's name and its rows, returns the rows that stay."""


def scan(folder: Path, parts: tuple[Part, ...]) -> pl.LazyFrame:
    """Return parts of one table as one, with the columns of today: new ones of text are empty."""
    return pl.scan_parquet(
        [folder / part.name for part in parts],
        glob=False,
        schema=SCHEMAS[parts[0].table],
        missing_columns="insert",
        extra_columns="ignore",
    ).with_columns(cs.string().fill_null(""))


def write(folder: Path, part: Part, rows: pl.DataFrame) -> None:
    """Write one part, and be sure that it is on the disk."""
    path = folder / part.name
    with told(folder):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        rows.write_parquet(path)
        sync_path(path)
        sync_path(path.parent)


def merge(folder: Path, number: int, parts: tuple[Part, ...], change: Change | None = None) -> Part:
    """Stream parts of one day and table into one file, in the order they were pulled."""
    first = parts[0]
    made = Part(table=first.table, day=first.day, number=number, rows=0)
    rows = scan(folder, parts)
    with told(folder):
        path = folder / made.name
        (change(first.table, rows) if change else rows).sink_parquet(path)
        sync_path(path)
        sync_path(path.parent)
        count = pl.scan_parquet(path, glob=False).select(pl.len()).collect().item()
    return Part(table=first.table, day=first.day, number=number, rows=count)


def remove_unnamed(folder: Path, ledger: Ledger) -> None:
    """Remove the files of a write that was not finished, or is no longer wanted."""
    named = {folder / part.name for part in ledger.parts}
    for path in folder.glob("*/*.parquet"):
        if path not in named:
            path.unlink()
    for day in folder.glob("????-??-??"):
        if not any(day.iterdir()):
            day.rmdir()


def by_day(rows: pl.DataFrame) -> Iterator[tuple[date, pl.DataFrame]]:
    """Yield the rows of each day of the events' own times."""
    dated = rows.with_columns(day=pl.col("at").dt.date())
    for (day,), of_day in dated.partition_by(
        "day", as_dict=True, include_key=False, maintain_order=True
    ).items():
        yield day, of_day


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Turn what a disk can refuse into our errors."""
    try:
        yield
    except PolarsError as error:
        raise ArchiveBrokenError(
            f"an event file in {folder} cannot be read: {str(error).splitlines()[0]};"
            " the click log itself is unchanged",
            next_step=f"remove {folder}: the next pull reads the log again",
        ) from error
    except OSError as error:
        raise SidecarError(
            f"the event archive in {folder} cannot be used: {error.strerror or error};"
            " what was kept before is whole",
            next_step="free some disk or mend the folder, then run the command again",
        ) from error
