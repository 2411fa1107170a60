"""From the event archive to what click models count; memory holds the counts and one shelf.

    with archive.reading() as events:
        counts = count_archive(events, since, config, scratch)

Events are put on shelves by their search and joined a shelf at a time; what is joined is put on
shelves by client and query, and counted a shelf at a time. Bots are looked for before, a shelf of
clients at a time, against the median client of all. The counts are those of `join_sessions` over
the whole log, with one edge: where a client acts in a search under another client's name, or an
event is logged twice under two names, a bot's habits may be told otherwise.
"""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
import structlog

from desireline.sidecar.archive.events import ArchivedEvents
from desireline.sidecar.archive.shelves import Shelves
from desireline.trainer.logs.bots import UsualClient, activity_of, bot_clients
from desireline.trainer.logs.frames import SCHEMAS, LogFrames, cleaned
from desireline.trainer.logs.session_rows import (
    once_a_day,
    text_id,
    who_typed,
    with_queries_from_actions,
)
from desireline.trainer.session_counts import SessionCounts, count_sessions, known_queries
from desireline.trainer.sessions import SessionConfig, join_searches

log = structlog.get_logger(__name__)

ROWS_AT_ONCE = 500_000
"""Documents shown and actions that are joined at once."""

#: Searches or events of one table that are read at once.
_EVENTS_AT_ONCE = 50_000
_WHO = pl.when(pl.col("client") != "").then("client").otherwise("query_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What a count works with."""

    events: ArchivedEvents
    since: datetime | None
    folder: Path
    #: How many shelves of each kind.
    count: int
    config: SessionConfig


def count_archive(
    events: ArchivedEvents,
    since: datetime | None,
    config: SessionConfig,
    scratch: Path,
    *,
    rows_at_once: int = ROWS_AT_ONCE,
) -> SessionCounts:
    """Count every event from `since` on.

    Args:
        events: the archive, lent for reading.
        since: the earliest time that counts; None: all.
        config: what counts, and whose.
        scratch: where shelves are put meanwhile, some ten times the archive's size; they hold
            what the archive holds, and go when this ends.
        rows_at_once: what memory has to hold, about half a gigabyte a million.

    """
    rows = events.joined_rows(since)
    with tempfile.TemporaryDirectory(prefix="counting-", dir=scratch) as name:
        desk = _Desk(
            events=events,
            since=since,
            folder=Path(name),
            count=1 + rows // rows_at_once,
            config=config,
        )
        bots = _bots(desk)
        typed, joined = _joined(desk, bots)
        known = _known(typed, config)
        counts = count_sessions(_counted(joined, known, config))
    log.info("click log counted", rows=rows, shelves=desk.count, pairs=counts.pairs.height)
    return counts


def _bots(desk: _Desk) -> pl.DataFrame:
    """Find bots a shelf of clients at a time."""
    # Whether two searches showed the same is all that matters of what they showed.
    digest = pl.concat_list(pl.col("shown").hash().cast(pl.String)).alias("shown")
    shelves = _shelved(desk, ("queries", "actions"), pl.col("client"), digest)
    activity = [activity_of(*_acts(each)).drop("client") for each in _frames(shelves)]
    usual = UsualClient.of(pl.concat(activity))
    found = [bot_clients(*_acts(each), desk.config.bots, usual) for each in _frames(shelves)]
    return pl.concat(found)


def _acts(frames: LogFrames) -> tuple[pl.DataFrame, pl.DataFrame]:
    whole = with_queries_from_actions(frames)
    return whole.queries, whole.actions


def _joined(desk: _Desk, bots: pl.DataFrame) -> tuple[Shelves, Shelves]:
    """Join searches with what followed; shelve who typed them, and their documents."""
    shelves = _shelved(desk, tuple(SCHEMAS), pl.col("query_id"))
    typed = Shelves(desk.folder / "typed", desk.count)
    joined = Shelves(desk.folder / "joined", desk.count)
    for frames in _frames(shelves):
        searches, rows = join_searches(frames, bots, desk.config)
        typed.put(who_typed(searches, desk.config.unnamed), pl.col("query"))
        joined.put(rows.drop("subnet", "dwell_s"), pl.struct(_WHO, "query"))
    return typed, joined


def _shelved(
    desk: _Desk,
    tables: tuple[str, ...],
    key: pl.Expr,
    page: pl.Expr | None = None,
) -> dict[str, Shelves]:
    """Put tables on shelves; positions are counted from 1 and sessions by text have their name."""
    first = 1 if _counts_from_zero(desk) else 0
    by = key.meta.output_name()
    shelves = {name: Shelves(desk.folder / f"{name}-by-{by}", desk.count) for name in tables}
    for name, held in shelves.items():
        for rows in desk.events.slices(name, desk.since, _EVENTS_AT_ONCE):
            if name == "queries":
                held.put(rows.with_columns(page) if page is not None else rows, key)
                continue
            named = rows.with_columns(pl.col("position") + first)
            held.put(named.with_columns(query_id=text_id()) if name == "actions" else named, key)
    return shelves


def _counts_from_zero(desk: _Desk) -> bool:
    tops = [
        desk.events.scan(name, desk.since).select((pl.col("position") == 0).any())
        for name in ("impressions", "actions")
    ]
    return any(frame.item() for frame in pl.collect_all(tops, engine="streaming"))


def _frames(shelves: Mapping[str, Shelves]) -> Iterator[LogFrames]:
    for number in range(next(iter(shelves.values())).count):
        taken = {name: held.take(number) for name, held in shelves.items()}
        yield cleaned({name: rows for name, rows in taken.items() if rows is not None}, {})


def _known(typed: Shelves, config: SessionConfig) -> pl.DataFrame:
    found = (typed.take(number) for number in range(typed.count))
    none = pl.DataFrame(schema={"query": pl.String})
    known = [known_queries(each, config.min_clients) for each in found if each is not None]
    return pl.concat([none, *known])


def _counted(joined: Shelves, known: pl.DataFrame, config: SessionConfig) -> Iterator[pl.DataFrame]:
    for number in range(joined.count):
        rows = joined.take(number)
        if rows is None:
            continue
        rows = rows.join(known, on="query", how="semi")
        yield once_a_day(rows) if config.once_a_day else rows
