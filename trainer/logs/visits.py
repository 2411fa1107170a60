"""How often people came: visits are told apart by a silence of their client."""

import polars as pl

from desireline.trainer.logs.streaming import streamed


def count_visits(events: pl.LazyFrame, pause_s: float) -> int:
    """Count the visits of every client; one ends with a silence of more than `pause_s` seconds.

    Time is cut into stretches as long as the pause: within one no silence is longer, so of a
    client's events in a stretch the first and the last stand for all. That needs one pass in any
    order, and holds a row for each client and stretch instead of sorting every event.

    Args:
        events: client and at (a time) of each event; events that name no client are one's.
        pause_s: the longest silence within a visit; more than 0.

    """
    at = pl.col("at").dt.timestamp("us")
    pause = round(pause_s * 1_000_000)
    plan = events.group_by("client", stretch=at // pause).agg(first=at.min(), last=at.max())
    stretches = streamed(plan).sort("client", "stretch")
    another = pl.col("client") != pl.col("client").shift()
    silence = pl.col("first") - pl.col("last").shift()
    begins = (another | (silence > pause)).fill_null(value=True)
    return int(stretches.select(begins.sum()).item())
