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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path

import polars as pl
import structlog

from desireline.connectors.log_source import Cursor
from desireline.sidecar.archive.events import ArchivedEvents
from desireline.sidecar.archive.files import Change, by_day, merge, remove_unnamed, told, write
from desireline.sidecar.archive.ledger import Ledger, Part, read_ledger, write_ledger

log = structlog.get_logger(__name__)

#: Parts of one day and table that are put together while a pull still goes on.
_MOST_PARTS = 32


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
    def reading(self) -> Iterator[ArchivedEvents]:
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
                made = merge(self.folder, ledger.following + len(added), (part,), change)
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
                ledger = ledger.exchanging(parts, (merge(self.folder, ledger.following, parts),))
                went += len(parts) - 1
        if went:
            self._commit(ledger)
        return went

    def _commit(self, ledger: Ledger) -> None:
        with self._locked("files.lock"), told(self.folder):
            write_ledger(self.folder, ledger)
            remove_unnamed(self.folder, ledger)

    @contextmanager
    def _locked(self, name: str, *, shared: bool = False) -> Iterator[None]:
        with told(self.folder):
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
            for day, of_day in by_day(rows):
                number = self._ledger.following + len(added)
                part = Part(table=table, day=day, number=number, rows=of_day.height)
                write(self._archive.folder, part, of_day)
                added.append(part)
        self._archive.keep(self._ledger.having(tuple(added), cursor, defects, today))
        self._ledger = read_ledger(self._archive.folder)
