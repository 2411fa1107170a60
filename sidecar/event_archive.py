"""Pulled events as Parquet files by day, and with them, in one record, how far the log was read.

    archive = EventArchive(folder)
    with archive.pulling(source="…") as pull:
        pull.keep(tables, cursor, defects, today=…)   # all of it, or after a crash none
    with archive.reading() as events:
        frames = events.frames(since=…)

Days are those of the events' own times, in UTC: what arrives late goes to its own day. Memory
holds what one `keep` was given; compaction streams.
"""

import fcntl
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path

import polars as pl
import polars.selectors as cs
import structlog
from polars.exceptions import PolarsError

from desireline.connectors.log_source import Cursor
from desireline.sidecar.errors import ArchiveBrokenError, SidecarError
from desireline.sidecar.event_ledger import Ledger, Part, read_ledger, write_ledger
from desireline.trainer.disk_sync import sync_path
from desireline.trainer.log_frames import SCHEMAS, LogFrames, cleaned

log = structlog.get_logger(__name__)

#: Parts of one day and table that are put together while a pull still goes on.
_MOST_PARTS = 32

Change = Callable[[str, pl.LazyFrame], pl.LazyFrame]
"""Takes a table's name and its rows, returns the rows that stay."""


class EventArchive:
    """A folder of events. Safe across threads and processes: one writes, others read or wait."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def pulling(self, source: str, *, window: timedelta | None = None) -> Iterator["ArchivePull"]:
        """Be the only one who adds events.

        Args:
            source: digest of the log's settings; events of other settings are given up
                as soon as the first events of these are kept.
            window: how far back the log is read; where that is further than before, the
                archive begins anew too. None: all of it.

        """
        with self._locked("pull.lock"):
            yield ArchivePull(self, source, None if window is None else window.total_seconds())

    @contextmanager
    def reading(self) -> Iterator["ArchivedEvents"]:
        """Lend the events as they are now; no file goes away meanwhile."""
        with self._locked("files.lock", shared=True):
            yield ArchivedEvents(self.folder, read_ledger(self.folder))

    def compact(self) -> int:
        """Make each day's files of a table one; return how many files went."""
        with self._locked("pull.lock"):
            return self._compact(beyond=1)

    def forget_before(self, day: date) -> int:
        """Remove the events, and counts of defects, of the days before; return the rows gone."""
        with self._locked("pull.lock"):
            ledger = read_ledger(self.folder)
            gone = tuple(part for part in ledger.parts if part.day < day)
            kept = {on: met for on, met in ledger.defects.items() if on >= day.isoformat()}
            if gone or len(kept) < len(ledger.defects):
                self._commit(ledger.exchanging(gone, ()).with_defects(kept))
            rows = sum(part.rows for part in gone)
            if gone:
                log.info("old events removed", before=day.isoformat(), rows=rows)
            return rows

    def rewrite(self, change: Change) -> dict[str, int]:
        """Put every part through `change`; return how many rows each table lost.

        All parts are exchanged by one rename and the former files are gone when this returns.
        """
        with self._locked("pull.lock"):
            ledger = read_ledger(self.folder)
            lost: Counter[str] = Counter()
            gone: list[Part] = []
            added: list[Part] = []
            for part in ledger.parts:
                made = self._write(ledger.following + len(added), (part,), change)
                if made.rows == part.rows:
                    (self.folder / made.name).unlink()
                    continue
                lost[part.table] += part.rows - made.rows
                gone.append(part)
                added.append(made)
            kept = tuple(part for part in added if part.rows)
            self._commit(ledger.exchanging(tuple(gone), kept))
            return dict(lost)

    # Below: what holds the pull's lock.

    def keep(self, ledger: Ledger) -> None:
        """Make a ledger true and remove the files it no longer names."""
        self._commit(ledger)
        self._compact(beyond=_MOST_PARTS)

    def _compact(self, *, beyond: int) -> int:
        ledger = read_ledger(self.folder)
        went = 0
        by_place = sorted(ledger.parts, key=lambda part: (part.day, part.table, part.number))
        for _, same in groupby(by_place, key=lambda part: (part.day, part.table)):
            parts = tuple(same)
            if len(parts) > beyond:
                ledger = ledger.exchanging(parts, (self._write(ledger.following, parts),))
                went += len(parts) - 1
        if went:
            self._commit(ledger)
        return went

    def _write(self, number: int, parts: tuple[Part, ...], change: Change | None = None) -> Part:
        """Stream parts of one day and table into one file, in the order they were pulled."""
        first = parts[0]
        made = Part(table=first.table, day=first.day, number=number, rows=0)
        rows = scan(self.folder, parts)
        with _told(self.folder):
            path = self.folder / made.name
            (change(first.table, rows) if change else rows).sink_parquet(path)
            sync_path(path)
            sync_path(path.parent)
            count = pl.scan_parquet(path, glob=False).select(pl.len()).collect().item()
        return Part(table=first.table, day=first.day, number=number, rows=count)

    def _commit(self, ledger: Ledger) -> None:
        with self._locked("files.lock"), _told(self.folder):
            write_ledger(self.folder, ledger)
            remove_unnamed(self.folder, ledger)

    @contextmanager
    def _locked(self, name: str, *, shared: bool = False) -> Iterator[None]:
        with _told(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            held = os.open(self.folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield
        finally:
            os.close(held)


class ArchivePull:
    """The right to add events, while it is lent."""

    def __init__(self, archive: EventArchive, source: str, window_s: float | None) -> None:
        self._archive = archive
        found = read_ledger(archive.folder)
        remove_unnamed(archive.folder, found)
        same = found.holds(source, window_s)
        if not same and found.parts:
            log.info("the settings of the click log were changed; it is pulled from its start")
        self._ledger = found if same else found.began_anew(source, window_s)

    @property
    def cursor(self) -> Cursor | None:
        """How far the log was read; None before the first pull of these settings."""
        return self._ledger.cursor

    def keep(
        self,
        tables: Mapping[str, pl.DataFrame],
        cursor: Cursor,
        defects: Mapping[str, int],
        *,
        today: date,
    ) -> None:
        """Add events and move the cursor, both or neither.

        Args:
            tables: by the names and columns of `SCHEMAS`.
            cursor: where the log is read on once these are safe.
            defects: met in them, by name.
            today: the day the defects are counted on.

        Raises:
            SidecarError: the disk is full or may not be written; nothing was added.

        """
        added: list[Part] = []
        for table, rows in tables.items():
            for day, of_day in _by_day(rows):
                number = self._ledger.following + len(added)
                part = Part(table=table, day=day, number=number, rows=of_day.height)
                self._put(part, of_day)
                added.append(part)
        self._archive.keep(self._ledger.having(tuple(added), cursor, defects, today))
        self._ledger = read_ledger(self._archive.folder)

    def _put(self, part: Part, rows: pl.DataFrame) -> None:
        path = self._archive.folder / part.name
        with _told(self._archive.folder):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            rows.write_parquet(path)
            sync_path(path)
            sync_path(path.parent)


class ArchivedEvents:
    """What an archive holds, while it is lent."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self._folder, self._ledger = folder, ledger

    @property
    def days(self) -> tuple[date, ...]:
        """The days that have events, oldest first."""
        return tuple(sorted({part.day for part in self._ledger.parts}))

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        counted = Counter(dict.fromkeys(SCHEMAS, 0))
        for part in self._ledger.parts:
            counted[part.table] += part.rows
        return dict(counted)

    @property
    def defects(self) -> dict[str, int]:
        """Defects met while these events were pulled, by name."""
        met: Counter[str] = Counter()
        for counts in self._ledger.defects.values():
            met.update(counts)
        return dict(met)

    def scan(self, table: str, since: datetime | None = None) -> pl.LazyFrame:
        """Return a table's events from `since` on, lazily, in the order of their days."""
        first = None if since is None else since.astimezone(UTC).date()
        parts = [
            part
            for part in sorted(self._ledger.parts, key=lambda part: (part.day, part.number))
            if part.table == table and (first is None or part.day >= first)
        ]
        if not parts:
            return pl.LazyFrame(schema=SCHEMAS[table])
        rows = scan(self._folder, tuple(parts))
        return rows if since is None else rows.filter(pl.col("at") >= since)

    def slices(self, table: str, since: datetime | None, most: int) -> Iterator[pl.DataFrame]:
        """Yield a table's events from `since` on, in the order of `scan`, so many at once."""
        first = None if since is None else since.astimezone(UTC).date()
        for part in sorted(self._ledger.parts, key=lambda part: (part.day, part.number)):
            if part.table != table or (first is not None and part.day < first):
                continue
            rows = scan(self._folder, (part,))
            for start in range(0, part.rows, most):
                with _told(self._folder):
                    some = rows.slice(start, most).collect()
                yield some if since is None else some.filter(pl.col("at") >= since)

    def joined_rows(self, since: datetime | None = None) -> int:
        """Return how many rows the joined log would have, about, without holding it."""
        shown = self.scan("queries", since).select(pl.col("shown").list.len().sum())
        others = [self.scan(name, since).select(pl.len()) for name in ("impressions", "actions")]
        counted = pl.collect_all([shown, *others], engine="streaming")
        return sum(int(frame.item() or 0) for frame in counted)

    def frames(self, since: datetime | None = None) -> LogFrames:
        """Read the events from `since` on as `log_frames.gather` reads a log."""
        with _told(self._folder):
            tables = {name: self.scan(name, since).collect(engine="streaming") for name in SCHEMAS}
        return cleaned(tables, self.defects)


def scan(folder: Path, parts: tuple[Part, ...]) -> pl.LazyFrame:
    """Return parts of one table as one, with the columns of today: new ones of text are empty."""
    return pl.scan_parquet(
        [folder / part.name for part in parts],
        glob=False,
        schema=SCHEMAS[parts[0].table],
        missing_columns="insert",
        extra_columns="ignore",
    ).with_columns(cs.string().fill_null(""))


def remove_unnamed(folder: Path, ledger: Ledger) -> None:
    """Remove the files of a write that was not finished, or is no longer wanted."""
    named = {folder / part.name for part in ledger.parts}
    for path in folder.glob("*/*.parquet"):
        if path not in named:
            path.unlink()
    for day in folder.glob("????-??-??"):
        if not any(day.iterdir()):
            day.rmdir()


def _by_day(rows: pl.DataFrame) -> Iterator[tuple[date, pl.DataFrame]]:
    dated = rows.with_columns(day=pl.col("at").dt.date())
    for (day,), of_day in dated.partition_by(
        "day", as_dict=True, include_key=False, maintain_order=True
    ).items():
        yield day, of_day


@contextmanager
def _told(folder: Path) -> Iterator[None]:
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
