"""From the click log into the event archive: what is new, made private first."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TypeVar

import orjson
import polars as pl
import structlog
from pydantic import BaseModel

from desireline.connectors.events import Action, Impression, Query
from desireline.connectors.log_source import Cursor, LogBatch, LogSource
from desireline.sidecar.archive.event_archive import ArchivePull, EventArchive
from desireline.trainer.logs.frames import SCHEMAS, tables_of

log = structlog.get_logger(__name__)

Transform = Callable[[LogBatch], LogBatch]
"""What happens to events before they touch this machine's disk."""

#: Settings that say how much is read, not which events or how.
_HOW_MUCH = {"window", "batch_size"}
#: Clocks of users and servers differ by less; what is further ahead is a wrong clock.
_AHEAD = timedelta(hours=1)

EVENTS_HELD = 200_000
"""Events that a pull holds in memory, some 50 MB, before it writes them."""

_Timed = TypeVar("_Timed", Query, Impression, Action)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What one pull brought."""

    events: int
    batches: int


def as_it_is(batch: LogBatch) -> LogBatch:
    """Return the batch unchanged."""
    return batch


def pull_into(
    archive: EventArchive,
    source: LogSource,
    *,
    settings: BaseModel,
    clock: Callable[[], datetime],
    transform: Transform = as_it_is,
    events_held: int = EVENTS_HELD,
) -> Pulled:
    """Add to the archive what the log holds beyond the archive's cursor.

    Broken off anywhere, by whatever, the next pull neither loses nor doubles an event.

    Args:
        archive: whose cursor is gone on from.
        source: the click log.
        settings: of the log; where they are not what they were, the archive begins anew.
        clock: of wall time; no event can have happened after it was read.
        transform: applied to each batch before anything of it is written.
        events_held: events in memory before they are written.

    Raises:
        ConnectorError: the log cannot be read; what was kept before is whole.
        SidecarError: the archive cannot be written.

    """
    window: timedelta | None = getattr(settings, "window", None)
    with archive.pulling(settings_digest(settings), window=window) as pull:
        buffer = _Buffer(pull, clock, events_held)
        for batch in source.pull(pull.cursor):
            protected = transform(batch)
            buffer.add(_not_from_the_future(protected, clock()), batch.cursor)
        buffer.flush()
    archive.compact()
    log.info("click log pulled", events=buffer.events, batches=buffer.batches)
    return Pulled(events=buffer.events, batches=buffer.batches)


def settings_digest(settings: BaseModel) -> str:
    """Return a name for these settings of a log: where they differ, so do the events."""
    plain = settings.model_dump(mode="json", exclude=_HOW_MUCH)
    return sha256(orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)).hexdigest()


class _Buffer:
    """Events on their way into the archive, and the cursor behind the last of them."""

    def __init__(self, pull: ArchivePull, clock: Callable[[], datetime], most: int) -> None:
        self._pull, self._clock, self._most = pull, clock, most
        self._held: dict[str, list[pl.DataFrame]] = {name: [] for name in SCHEMAS}
        self._defects: Counter[str] = Counter()
        self._rows = 0
        self._cursor: Cursor | None = None
        self.events = 0
        self.batches = 0

    def add(self, batch: LogBatch, cursor: Cursor) -> None:
        for name, table in tables_of(batch).items():
            self._held[name].append(table)
            self._rows += table.height
            self.events += table.height
        self._defects.update(batch.defects)
        self._cursor = cursor
        self.batches += 1
        if self._rows >= self._most:
            self.flush()

    def flush(self) -> None:
        if self._cursor is None:
            return
        tables = {name: pl.concat(held) for name, held in self._held.items() if held}
        self._pull.keep(tables, self._cursor, +self._defects, today=self._clock().date())
        self._held = {name: [] for name in SCHEMAS}
        self._defects.clear()
        self._rows, self._cursor = 0, None


def _not_from_the_future(batch: LogBatch, now: datetime) -> LogBatch:
    """Put events of clocks that run ahead at the time they were read, and count them.

    Else a wrong year would keep them beyond every retention and split the log by it.
    """
    latest = now + _AHEAD
    ahead = sum(
        event.at > latest
        for events in (batch.queries, batch.impressions, batch.actions)
        for event in events
    )
    if not ahead:
        return batch
    return replace(
        batch,
        queries=_until(batch.queries, latest, now),
        impressions=_until(batch.impressions, latest, now),
        actions=_until(batch.actions, latest, now),
        defects={**batch.defects, "event from the future": ahead},
    )


def _until(events: Iterable[_Timed], latest: datetime, now: datetime) -> tuple[_Timed, ...]:
    return tuple(replace(event, at=now) if event.at > latest else event for event in events)
