"""Clients no person could be, each with the reason why."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
from pydantic import BaseModel, Field

TOO_MANY = "more searches and clicks than a person makes"
TOO_BROAD = "more different queries in a day than a person types"
CLOCKWORK = "searches as regular as clockwork"
NO_DWELL = "never stays on what it opens"
ONE_DOCUMENT = "clicks one document whatever it searches"

_ACTIVITY = ("busiest_day", "broadest_day", "in_all")
_VERDICTS = {"client": pl.String, "reason": pl.String}


class BotConfig(BaseModel, frozen=True, extra="forbid"):
    """When a client has done more, or other, than a person does.

    The limits of what is too much follow the log: `times_median` times what the median client
    does, but never below the floor. The median stands even where bots are a third of all
    clients; a high percentile would be set by the bots themselves.
    """

    floor_a_day: int = Field(
        default=100,
        ge=1,
        description="Nobody is a bot for fewer searches and clicks than this in one day.",
    )
    floor_in_all: int = Field(
        default=400, ge=1, description="Nor for fewer than this in the whole window."
    )
    floor_queries_a_day: int = Field(
        default=60, ge=1, description="Nor for fewer different queries than this in one day."
    )
    times_median: float = Field(
        default=20.0, gt=1, description="Above the floors, this many times the median client."
    )
    min_clients: int = Field(
        default=10,
        ge=2,
        description="With fewer clients nobody is removed: there is no telling who is unusual.",
    )
    habits_from: int = Field(
        default=20,
        ge=5,
        description="Searches or clicks from which a client's habits are judged: pauses that hardly"
        " differ, documents left within a second, one document under many queries.",
    )


#: Pauses longer than this are absences; they say nothing about how regular a client is.
_PAUSE_S = 1800.0
#: A person's pauses differ: nine tenths of them are never within half of their median.
_SPREAD = 0.5
#: Nobody reads in less; zero is not counted, it only says that the log's clock is coarse.
_GLANCE_S = 1.0
_NEARLY_ALL = 0.9
_MANY_QUERIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class UsualClient:
    """What the median client of a log does, and how many clients there are."""

    clients: int
    #: Searches and clicks of the busiest day.
    busiest_day: float
    #: Different queries of the day with most of them.
    broadest_day: float
    #: Searches and clicks in all.
    in_all: float

    @classmethod
    def of(cls, activity: pl.DataFrame) -> "UsualClient":
        """Take the median of every column of `activity_of`."""
        medians = activity.select(pl.col(_ACTIVITY).median().fill_null(0.0)).row(0, named=True)
        return cls(clients=activity.height, **medians)


def activity_of(searches: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """Say how much each named client did: client, busiest_day, broadest_day, in_all."""
    named = pl.col("client") != ""
    return _totals(searches.lazy().filter(named), actions.lazy().filter(named)).collect()


def bot_clients(
    searches: pl.DataFrame,
    actions: pl.DataFrame,
    config: BotConfig,
    usual: UsualClient | None = None,
) -> pl.DataFrame:
    """Name the clients to leave out whole, one row a client: client, reason; sorted.

    Args:
        searches: one row a search: `query_id`, `client`, `query`, `at`. Clients without a name
            cannot be judged and are never removed.
        actions: one row an action: `client`, `query_id`, `document_id`, `at`.
        config: the limits.
        usual: of the whole log, where these are the events of some clients only.

    """
    busy = activity_of(searches, actions)
    usual = usual or UsualClient.of(busy)
    if usual.clients < config.min_clients:
        return pl.DataFrame(schema=_VERDICTS)
    named = pl.col("client") != ""
    typed, did = searches.lazy().filter(named), actions.lazy().filter(named)
    verdicts = [
        found.select("client", reason=pl.lit(reason))
        for reason, found in _found(busy, typed, did, config, usual)
    ]
    return pl.concat(verdicts).unique("client", keep="first", maintain_order=True).sort("client")


def _found(
    busy: pl.DataFrame,
    searches: pl.LazyFrame,
    actions: pl.LazyFrame,
    config: BotConfig,
    usual: UsualClient,
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield a reason and the clients it fits, the plainest first."""
    times = config.times_median
    too_many = (pl.col("busiest_day") > max(config.floor_a_day, usual.busiest_day * times)) | (
        pl.col("in_all") > max(config.floor_in_all, usual.in_all * times)
    )
    yield TOO_MANY, busy.filter(too_many)
    too_broad = max(config.floor_queries_a_day, usual.broadest_day * times)
    yield TOO_BROAD, busy.filter(pl.col("broadest_day") > too_broad)
    settled = busy.lazy().filter(pl.col("in_all") >= config.habits_from).select("client")
    searches, actions = (
        frame.join(settled, on="client", how="semi") for frame in (searches, actions)
    )
    yield CLOCKWORK, _regular(searches, config.habits_from).collect()
    yield NO_DWELL, _restless(searches, actions, config.habits_from).collect()
    yield ONE_DOCUMENT, _devoted(searches, actions, config.habits_from).collect()


def _totals(searches: pl.LazyFrame, actions: pl.LazyFrame) -> pl.LazyFrame:
    events = pl.concat(
        [
            searches.select("client", "at", "query"),
            actions.select("client", "at", query=pl.lit(None, dtype=pl.String)),
        ]
    )
    days = events.group_by("client", pl.col("at").dt.date().alias("day")).agg(
        pl.len(), queries=pl.col("query").drop_nulls().n_unique()
    )
    return days.group_by("client").agg(
        busiest_day=pl.col("len").max(),
        broadest_day=pl.col("queries").max(),
        in_all=pl.col("len").sum(),
    )


def _regular(searches: pl.LazyFrame, at_least: int) -> pl.LazyFrame:
    """Find clients between whose searches there is always the same pause."""
    pause = _seconds(pl.col("at").diff().over("client", order_by="at"))
    pauses = searches.with_columns(pause=pause).filter(pl.col("pause") <= _PAUSE_S)
    spread = pl.col("pause").quantile(0.95) - pl.col("pause").quantile(0.05)
    return (
        pauses.group_by("client")
        .agg(pl.len(), spread=spread, usual=pl.col("pause").median())
        .filter((pl.col("len") >= at_least - 1) & (pl.col("spread") < _SPREAD * pl.col("usual")))
    )


def _restless(searches: pl.LazyFrame, actions: pl.LazyFrame, at_least: int) -> pl.LazyFrame:
    """Find clients that do the next thing within a second of nearly every action."""
    events = pl.concat(
        [
            searches.select("client", "at", acted=pl.lit(value=False)),
            actions.select("client", "at", acted=pl.lit(value=True)),
        ]
    )
    until_next = _seconds(pl.col("at").shift(-1) - pl.col("at")).over("client", order_by="at")
    stays = events.with_columns(stay=until_next).filter("acted", pl.col("stay").is_not_null())
    glances = (pl.col("stay") > 0) & (pl.col("stay") < _GLANCE_S)
    return (
        stays.group_by("client")
        .agg(pl.len(), glances=glances.mean())
        .filter((pl.col("len") >= at_least) & (pl.col("glances") >= _NEARLY_ALL))
    )


def _devoted(searches: pl.LazyFrame, actions: pl.LazyFrame, at_least: int) -> pl.LazyFrame:
    """Find clients whose actions are nearly all on one document, under many queries."""
    typed = searches.select("query_id", "query").unique("query_id")
    documents = (
        actions.select("client", "query_id", "document_id")
        .filter(pl.col("document_id") != "")
        .join(typed, on="query_id", how="inner")
        .group_by("client", "document_id")
        .agg(pl.len(), queries=pl.col("query").n_unique())
    )
    favourite = documents.group_by("client").agg(
        pl.col("len").sum(),
        share=pl.col("len").max() / pl.col("len").sum(),
        queries=pl.col("queries").sort_by("len").last(),
    )
    return favourite.filter(
        (pl.col("len") >= at_least)
        & (pl.col("share") >= _NEARLY_ALL)
        & (pl.col("queries") >= _MANY_QUERIES)
    )


def _seconds(duration: pl.Expr) -> pl.Expr:
    return duration.dt.total_microseconds() / 1_000_000
