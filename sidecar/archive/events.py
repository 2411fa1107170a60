"""The events that an archive holds: counted, scanned, sliced, or read whole."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from desireline.sidecar.archive.files import scan, told
from desireline.sidecar.archive.ledger import Ledger, Part
from desireline.trainer.logs.frames import SCHEMAS, LogFrames, cleaned


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
        parts = self._parts(table, since)
        if not parts:
            return pl.LazyFrame(schema=SCHEMAS[table])
        rows = scan(self._folder, parts)
        return rows if since is None else rows.filter(pl.col("at") >= since)

    def slices(self, table: str, since: datetime | None, most: int) -> Iterator[pl.DataFrame]:
        """Yield a table's events from `since` on, in the order of `scan`, so many at once."""
        for part in self._parts(table, since):
            rows = scan(self._folder, (part,))
            for start in range(0, part.rows, most):
                with told(self._folder):
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
        with told(self._folder):
            tables = {name: self.scan(name, since).collect(engine="streaming") for name in SCHEMAS}
        return cleaned(tables, self.defects)

    def _parts(self, table: str, since: datetime | None) -> tuple[Part, ...]:
        """Return a table's files that may hold events from `since` on, in the order of days."""
        first = date.min if since is None else since.astimezone(UTC).date()
        return tuple(
            part
            for part in sorted(self._ledger.parts, key=lambda part: (part.day, part.number))
            if part.table == table and part.day >= first
        )
