"""Events become sessions: who saw what where, and what they did with it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import polars as pl
from pydantic import BaseModel, Field

from desireline.connectors.log_source import LogBatch
from desireline.trainer.bots import BotConfig, bot_clients
from desireline.trainer.health import LogHealth, RawCounts, examine
from desireline.trainer.k_anonymity import known_to_enough
from desireline.trainer.log_figures import EventCounts, count_events, draw
from desireline.trainer.log_frames import TIME, LogFrames, gather

#: One row a document of one execution of a query.
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "query_id": pl.String,
    "query": pl.String,
    "client": pl.String,
    "subnet": pl.String,
    "at": TIME,
    "document_id": pl.String,
    "position": pl.Int32,
    "shown": pl.Boolean,
    "clicked": pl.Boolean,
    "weight": pl.Float64,
    "dwell_s": pl.Float64,
}

_OF_SEARCH = ("query_id", "query", "client", "at")
ORDER = (pl.col("at"), pl.col("query_id"), pl.col("position").fill_null(0), pl.col("document_id"))


class SessionConfig(BaseModel, frozen=True, extra="forbid"):
    """How events are joined and whom to believe."""

    actions: dict[str, float] = Field(
        default={"click": 1.0, "add_to_cart": 2.0, "purchase": 3.0},
        min_length=1,
        description="What each kind of action says for a document; other kinds say nothing.",
    )
    bots: BotConfig = Field(
        default=BotConfig(), description="When a client has done more than a person does."
    )
    #: In a target's configuration 1 is for `privacy.mode = "local"` only.
    min_clients: int = Field(
        default=5,
        ge=1,
        description="Clients that must have typed a query before it may be learned from.",
    )
    min_pair_clients: int = Field(
        default=3,
        ge=1,
        description="Clients whose clicks must speak for a pair of a query and a document.",
    )
    unnamed: Literal["one", "each"] = Field(
        default="one",
        description="How searches that name no client count towards min_clients: together as one"
        " client, or each as one; each lets a person who repeats a query be several.",
    )
    once_a_day: bool = Field(
        default=True,
        description="Whether a client counts once a day for a query and a document.",
    )
    pause_s: float = Field(
        default=1800.0,
        gt=0,
        description="A silence of more seconds is no dwell: the user had left.",
    )
    most_rows: int = Field(
        default=10_000_000,
        ge=1_000,
        description="Documents shown that are joined at once, about half a gigabyte of memory a"
        " million; of a larger log some clients, drawn by chance, are left out whole.",
    )


OF_NOBODY = SessionConfig(min_clients=1, min_pair_clients=1)
"""For logs that nobody's privacy hangs on: simulated ones, and those of tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """What users saw and did, one row a document of one execution of a query.

    Columns (`SCHEMA`): query_id, query (normalised), client, subnet (empty where unknown; see
    `subnet_of`), at (of the search, UTC), document_id, position (1 is the top; null where
    unknown), shown (whether the log says that it was on the page), clicked, weight (of the
    strongest action; 0 without), dwell_s (until the client's next event; null where unknown).
    """

    frame: pl.DataFrame
    health: LogHealth
    #: Pairs that may not teach yet: query, document_id. Set by `trust`, heeded by `split_forward`.
    waiting: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"query": pl.String, "document_id": pl.String})
    )
    #: Clients whose searches teach but do not judge. Set by `trust`, heeded by `split_forward`.
    doubted: pl.Series = field(default_factory=lambda: pl.Series("client", [], dtype=pl.String))
    #: Searches with no row in `frame`, for nothing was shown: query_id, query, client, at.
    unanswered: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={name: SCHEMA[name] for name in _OF_SEARCH})
    )

    def only(self, keep: pl.Expr) -> "Sessions":
        """Return the sessions whose rows pass, with the same health report."""
        absent = (
            pl.lit(None, dtype=kind).alias(name)
            for name, kind in SCHEMA.items()
            if name not in _OF_SEARCH
        )
        unanswered = self.unanswered.with_columns(*absent).filter(keep).select(_OF_SEARCH)
        return replace(self, frame=self.frame.filter(keep), unanswered=unanswered)


def to_sessions(batches: Iterable[LogBatch], config: SessionConfig | None = None) -> Sessions:
    """Join events by query_id, leave bots out, and say how healthy the log is.

    Args:
        batches: of a click log.
        config: how; without one every query counts, however few typed it, which is right for
            logs of nobody and for nothing else.

    """
    return join_sessions(gather(batches), config)


def join_sessions(frames: LogFrames, config: SessionConfig | None = None) -> Sessions:
    """Do as `to_sessions` with events that are in tables already."""
    config = config or OF_NOBODY
    logged, frames = frames, with_queries_from_actions(frames)
    raw = _raw_counts(frames)
    bots = bot_clients(frames.queries, frames.actions, config.bots)
    people, removed = _without_bots(frames, bots)
    searches = _searches(people)
    rows = _rows(people, searches, config).sort(*ORDER)
    figures = draw(searches, rows)
    joined = once_a_day(rows).sort(*ORDER) if config.once_a_day else rows
    typed = who_typed(searches, config)
    empty = searches.join(rows, on="query_id", how="anti").select(_OF_SEARCH)
    unanswered = known_to_enough(empty, typed, config.min_clients)
    rows = known_to_enough(joined, typed, config.min_clients)
    health = examine(
        raw=raw,
        queries=people.queries,
        joined=joined,
        rows=rows,
        defects=frames.defects,
        removed=removed,
        min_clients=config.min_clients,
        events=_event_counts(logged, frames, config),
        figures=figures,
    )
    reasons = dict(bots.group_by("reason").len().sort("reason").iter_rows())
    health = replace(health, left_out={f"clients: {reason}": n for reason, n in reasons.items()})
    return Sessions(frame=rows.select(list(SCHEMA)), health=health, unanswered=unanswered)


def join_searches(
    frames: LogFrames, bots: pl.DataFrame, config: SessionConfig
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Join some of a log's searches, each whole, without the bots that are known.

    Returns:
        One row a search, and one row a document of one search, as in `Sessions.frame` but in no
        order. How long anyone stayed is not in it: what a client did next may be elsewhere.

    """
    people, _ = _without_bots(with_queries_from_actions(frames), bots)
    searches = _searches(people)
    return searches, _rows(people, searches, config).drop("dwell_s")


def text_id() -> pl.Expr:
    """Name the session of an action without query_id, where the text beside it is known."""
    day = pl.col("at").dt.date().cast(pl.String)
    named = pl.concat_str(pl.lit("text"), pl.col("client"), day, pl.col("query"), separator="~")
    return (
        pl.when((pl.col("query_id") == "") & (pl.col("query") != ""))
        .then(named)
        .otherwise(pl.col("query_id"))
    )


def _raw_counts(frames: LogFrames) -> RawCounts:
    known = frames.queries.select("query_id").unique()
    return RawCounts(
        unknown_queries=sum(
            frame.join(known, on="query_id", how="anti").height
            for frame in (frames.impressions, frames.actions)
        ),
        without_hits=frames.queries.filter(pl.col("shown").list.len() == 0).height,
    )


def _event_counts(logged: LogFrames, frames: LogFrames, config: SessionConfig) -> EventCounts:
    by_text = frames.queries.join(logged.queries, on="query_id", how="anti")
    return count_events(
        searches=logged.queries,
        impressions=logged.impressions,
        actions=logged.actions,
        actions_by_text=frames.actions.join(by_text, on="query_id", how="semi"),
        kinds=config.actions.keys(),
    )


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


def _without_bots(frames: LogFrames, bots: pl.DataFrame) -> tuple[LogFrames, dict[str, int]]:
    person = ~pl.col("client").is_in(bots.get_column("client").implode())
    of_bots = frames.queries.filter(~person).select("query_id").unique()
    actions = frames.actions.filter(person).join(of_bots, on="query_id", how="anti")
    people = LogFrames(
        queries=frames.queries.filter(person),
        impressions=frames.impressions.join(of_bots, on="query_id", how="anti"),
        actions=actions,
        defects=frames.defects,
    )
    removed = {
        "clients": bots.height,
        "searches": of_bots.height,
        "actions": frames.actions.height - actions.height,
    }
    return people, removed


def _searches(frames: LogFrames) -> pl.DataFrame:
    """Return one row a search; its pages are one."""
    return frames.queries.group_by("query_id", maintain_order=True).agg(
        pl.col("query", "client", "subnet").first(), pl.col("at").min()
    )


def _rows(frames: LogFrames, searches: pl.DataFrame, config: SessionConfig) -> pl.DataFrame:
    """Join what was shown with what was done, one row a document of one search."""
    done = _done(frames, config)
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


def _done(frames: LogFrames, config: SessionConfig) -> pl.DataFrame:
    """Reduce the actions that count to one row a document of a search."""
    weights = pl.col("kind").replace_strict(config.actions, default=None, return_dtype=pl.Float64)
    actions = _with_dwell(frames, config.pause_s).with_columns(weight=weights)
    return (
        actions.filter(pl.col("weight").is_not_null() & (pl.col("document_id") != ""))
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


def who_typed(searches: pl.DataFrame, config: SessionConfig) -> pl.DataFrame:
    """Return `query` and `client` of each search; see `SessionConfig.unnamed`."""
    if config.unnamed == "one":
        return searches.select("query", "client")
    alone = pl.concat_str(pl.lit("search "), "query_id")
    named = pl.when(pl.col("client") == "").then(alone).otherwise("client")
    return searches.select("query", client=named)
