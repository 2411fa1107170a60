"""Clients no person could be."""

import polars as pl
from pydantic import BaseModel, Field


class BotConfig(BaseModel, frozen=True, extra="forbid"):
    """When a client has done more than a person does.

    The limit follows the log: `times_median` times what the median client does, but never
    below the floor. The median stands even where bots are a third of all clients; a high
    percentile would be set by the bots themselves.
    """

    floor_a_day: int = Field(
        default=100,
        ge=1,
        description="Nobody is a bot for fewer searches and clicks than this in one day.",
    )
    floor_in_all: int = Field(
        default=400, ge=1, description="Nor for fewer than this in the whole window."
    )
    times_median: float = Field(
        default=20.0, gt=1, description="Above the floors, this many times the median client."
    )
    min_clients: int = Field(
        default=10,
        ge=2,
        description="With fewer clients nobody is removed: there is no telling who is unusual.",
    )


def bot_clients(events: pl.DataFrame, config: BotConfig) -> pl.Series:
    """Names of the clients to leave out whole.

    Args:
        events: one row a search or action, columns `client` and `at`; clients without a
            name cannot be judged and are never removed.
        config: the limits.

    """
    named = events.filter(pl.col("client") != "")
    days = named.group_by("client", pl.col("at").dt.date().alias("day")).len()
    totals = days.group_by("client").agg(
        busiest_day=pl.col("len").max(), in_all=pl.col("len").sum()
    )
    if totals.height < config.min_clients:
        return pl.Series("client", [], dtype=pl.String)
    too_many = _above("busiest_day", config.floor_a_day, config) | _above(
        "in_all", config.floor_in_all, config
    )
    return totals.filter(too_many).get_column("client").sort()


def _above(column: str, floor: int, config: BotConfig) -> pl.Expr:
    return pl.col(column) > pl.max_horizontal(
        pl.lit(floor), pl.col(column).median() * config.times_median
    )
