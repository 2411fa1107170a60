"""As much of an archive as memory holds: all of it, or all that some of the clients did.

Whole clients are left out, so that sessions, the pause after a click, and what one client may
weigh are those of the whole log.
"""

from datetime import datetime

import polars as pl
import structlog

from desireline.sidecar.archive.events import ArchivedEvents
from desireline.trainer.logs.frames import LogFrames, cleaned

log = structlog.get_logger(__name__)

LEFT_OUT = "searches left out so that memory is enough"
_HASHES = 2**64


def frames_within(
    events: ArchivedEvents, since: datetime | None, *, most_rows: int, seed: int
) -> LogFrames:
    """Read events as `ArchivedEvents.frames` does, but of no more clients than make that many rows.

    Args:
        events: the archive, lent for reading.
        since: the earliest time that is read.
        most_rows: documents shown and actions that may be joined, about.
        seed: draws the clients; the same ones each night as long as the log does not grow much.

    """
    rows = events.joined_rows(since)
    if rows <= most_rows:
        return events.frames(since)
    kept = _of_some_clients(events, since, most_rows / rows, seed)
    searches = events.scan("queries", since).select(pl.len()).collect().item()
    left_out = searches - kept["queries"].height
    log.info("the click log is larger than memory allows", rows=rows, searches_left_out=left_out)
    return cleaned(kept, {**events.defects, LEFT_OUT: left_out})


def _of_some_clients(
    events: ArchivedEvents, since: datetime | None, share: float, seed: int
) -> dict[str, pl.DataFrame]:
    who = pl.when(pl.col("client") != "").then("client").otherwise("query_id")
    drawn = who.hash(seed) < int(share * _HASHES)
    queries = events.scan("queries", since).filter(drawn).collect(engine="streaming")
    found = {"queries": queries}
    # An event may name its client otherwise than its search does: the search decides.
    searches = queries.lazy().select("query_id").unique()
    for name in ("impressions", "actions"):
        rows = events.scan(name, since)
        # Without searches, the text beside an action has to do, and only its client can be drawn.
        alone = drawn & ((pl.col("query_id") == "") | (not events.rows["queries"]))
        joined = rows.join(searches, on="query_id", how="semi", maintain_order="left")
        parts = pl.concat([joined, rows.filter(alone)])
        found[name] = parts.collect(engine="streaming")
    return found
