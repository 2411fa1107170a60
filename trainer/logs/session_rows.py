"""Searches joined with what was shown and what was done: the rows that sessions are made of."""

from collections.abc import Mapping
from typing import Literal

import polars as pl

from desireline.trainer.logs.frames import LogFrames

ORDER = (pl.col("at"), pl.col("query_id"), pl.col("position").fill_null(0), pl.col("document_id"))
"""The order of the rows of sessions."""


def with_queries_from_actions(frames: LogFrames) -> LogFrames:
    """Take the query from the text beside an action where the log does not hold its search.

    Actions without a query_id are one session for one client, text and day.
    """
    named = frames.actions.with_columns(query_id=text_id()).filter(pl.col("query_id") != "")
    found = (
        named.filter(pl.col("query") != "")
        .join(frames.queries, on="query_id", how="anti")
        .group_by("query_id")
        .agg(pl.col("query", "client").first(), pl.col("at").min())
        .with_columns(
            shown=pl.lit([], dtype=pl.List(pl.String)),
            first_position=pl.lit(1, dtype=pl.Int32),
            subnet=pl.lit(""),
        )
    )
    defects = dict(frames.defects)
    if found.height:
        defects["queries known only from the text beside an action"] = found.height
    return LogFrames(
        queries=pl.concat([frames.queries, found.select(frames.queries.columns)]),
        impressions=frames.impressions,
        actions=named,
        defects=defects,
    )


def text_id() -> pl.Expr:
    """Name the session of an action without query_id, where the text beside it is known."""
    day = pl.col("at").dt.date().cast(pl.String)
    named = pl.concat_str(pl.lit("text"), pl.col("client"), day, pl.col("query"), separator="~")
    return (
        pl.when((pl.col("query_id") == "") & (pl.col("query") != ""))
        .then(named)
        .otherwise(pl.col("query_id"))
    )


def searches_of(frames: LogFrames) -> pl.DataFrame:
    """Return one row a search; its pages are one."""
    return frames.queries.group_by("query_id", maintain_order=True).agg(
        pl.col("query", "client", "subnet").first(), pl.col("at").min()
    )


def rows_of(
    frames: LogFrames,
    searches: pl.DataFrame,
    actions: Mapping[str, float],
    pause_s: float | None,
) -> pl.DataFrame:
    """Join what was shown with what was done, one row a document of one search, in no order.

    Args:
        frames: of people.
        searches: of `searches_of`.
        actions: what each kind of action weighs; others say nothing.
        pause_s: a silence of more seconds is no dwell; None: the log is not whole, and what a
            client did next may be elsewhere, so that nobody's dwell is known.

    """
    done = _done(frames, actions, pause_s)
    joined = _shown(frames).join(done, on=["query_id", "document_id"], how="full", coalesce=True)
    rows = joined.join(searches, on="query_id", how="inner", suffix="_of_search")
    return rows.with_columns(
        position=pl.coalesce("position", "position_of_action"),
        shown=pl.col("shown").fill_null(value=False),
        clicked=pl.col("weight").is_not_null(),
        weight=pl.col("weight").fill_null(0.0),
    )


def _shown(frames: LogFrames) -> pl.DataFrame:
    """List what was on the page; the search's own list wins over impression events."""
    listed = (
        frames.queries.select("query_id", "first_position", document_id="shown")
        .with_columns(
            offset=pl.int_ranges(pl.col("document_id").list.len().cast(pl.Int64), dtype=pl.Int32)
        )
        .explode("document_id", "offset", empty_as_null=False)
        .select("query_id", "document_id", position=(pl.col("first_position") + pl.col("offset")))
    )
    reported = frames.impressions.select("query_id", "document_id", "position")
    top_of_each = (
        pl.concat([listed, reported])
        .group_by("query_id", "document_id", maintain_order=True)
        .agg(pl.col("position").drop_nulls().first())
    )
    return top_of_each.with_columns(shown=pl.lit(value=True))


def _done(frames: LogFrames, actions: Mapping[str, float], pause_s: float | None) -> pl.DataFrame:
    """Reduce the actions that count to one row a document of a search."""
    weights = pl.col("kind").replace_strict(actions, default=None, return_dtype=pl.Float64)
    unknown = frames.actions.with_columns(dwell_s=pl.lit(None, dtype=pl.Float64))
    timed = unknown if pause_s is None else _with_dwell(frames, pause_s)
    return (
        timed.with_columns(weight=weights)
        .filter(pl.col("weight").is_not_null() & (pl.col("document_id") != ""))
        .group_by("query_id", "document_id", maintain_order=True)
        .agg(
            pl.col("weight").max(),
            pl.col("dwell_s").max(),
            position_of_action=pl.col("position").drop_nulls().first(),
        )
    )


def _with_dwell(frames: LogFrames, pause_s: float) -> pl.DataFrame:
    """Add the seconds until the same client's next search or action.

    Without a client's name only the events of the same search can be told to be one person's.
    """
    searches = frames.queries.select("query_id", "client", "at")
    events = pl.concat([searches, frames.actions], how="diagonal").with_columns(
        who=pl.when(pl.col("client") == "").then("query_id").otherwise("client")
    )
    next_at = pl.col("at").shift(-1).over("who", order_by="at")
    seconds = (next_at - pl.col("at")).dt.total_milliseconds() / 1000
    dwell = pl.when(seconds <= pause_s).then(seconds)
    return events.with_columns(dwell_s=dwell).filter(pl.col("kind").is_not_null())


def once_a_day(rows: pl.DataFrame) -> pl.DataFrame:
    """Keep, of one client's repeats of a query in a day, the strongest row a document.

    Of equally strong ones the first is kept, by `ORDER`. The rows come back in no order.
    """
    repeat = ("client", "query", "document_id", "day")
    dated = rows.with_columns(day=pl.col("at").dt.date())
    # Most rows have no like: numbers tell so sooner than texts, and the few left are compared.
    again = (pl.col("client") != "") & pl.struct(repeat).hash().is_duplicated()
    parts = dated.with_columns(again=again).partition_by("again", as_dict=True, include_key=False)
    none = dated.clear()
    strongest = (
        parts.get((True,), none)
        .sort(pl.col("weight").neg(), *ORDER)
        .unique(repeat, keep="first", maintain_order=True)
    )
    return pl.concat([parts.get((False,), none), strongest]).drop("day")


def who_typed(searches: pl.DataFrame, unnamed: Literal["one", "each"]) -> pl.DataFrame:
    """Return `query` and `client` of each search; see `SessionConfig.unnamed`."""
    if unnamed == "one":
        return searches.select("query", "client")
    alone = pl.concat_str(pl.lit("search "), "query_id")
    named = pl.when(pl.col("client") == "").then(alone).otherwise("client")
    return searches.select("query", client=named)
