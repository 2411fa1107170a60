"""Events become sessions: who saw what where, and what they did with it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import polars as pl
from pydantic import BaseModel, Field

from desireline.connectors.log_source import LogBatch
from desireline.trainer.logs.bots import BotConfig, bot_clients
from desireline.trainer.logs.figures import EventCounts, count_events, draw
from desireline.trainer.logs.frames import TIME, LogFrames, gather
from desireline.trainer.logs.health import LogHealth, RawCounts, examine
from desireline.trainer.logs.k_anonymity import known_to_enough
from desireline.trainer.logs.session_rows import (
    ORDER,
    once_a_day,
    rows_of,
    searches_of,
    who_typed,
    with_queries_from_actions,
)

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
    searches = searches_of(people)
    rows = rows_of(people, searches, config.actions, config.pause_s).sort(*ORDER)
    figures = draw(searches, rows)
    joined = once_a_day(rows).sort(*ORDER) if config.once_a_day else rows
    typed = who_typed(searches, config.unnamed)
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
        order, and without dwell: what a client did next may be elsewhere.

    """
    people, _ = _without_bots(with_queries_from_actions(frames), bots)
    searches = searches_of(people)
    return searches, rows_of(people, searches, config.actions, None)


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
