"""A pair that is clicked as never before, beside its own history.

Only the pair's own searches enter, and what is known before any log is read: so nobody can make
other pairs burst, or hide a burst, by what they do elsewhere.
"""

import polars as pl
from pydantic import BaseModel, Field

from desireline.trainer.trust.false_discovery import discovered

BURST = "clicks in a burst"

_MICROSECONDS = 1_000_000
_PAIR = ["query", "document_id"]
_CELL = [*_PAIR, "window"]
_HALF = 0.5
_LOOK = pl.when("shown").then(1 / pl.col("position").fill_null(1).clip(1).sqrt()).otherwise(1.0)
_WHO = pl.when(pl.col("client") == "").then("query_id").otherwise("client")


class BurstConfig(BaseModel, frozen=True, extra="forbid"):
    """When clicks come too thick to be believed at once."""

    min_clicks: int = Field(
        default=5, ge=2, description="Fewer clicks on a pair in one window are never a burst."
    )
    false_discoveries: float = Field(
        default=0.01,
        gt=0,
        lt=1,
        description="Share of the bursts found under one query that may be chance.",
    )
    usual_rate: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="Clicks a look of a pair without history; every history begins with this.",
    )
    usual_looks: float = Field(
        default=2.5, gt=0, description="Looks that this beginning is worth; more finds more bursts."
    )


def find_bursts(rows: pl.DataFrame, window_s: float, config: BurstConfig) -> pl.DataFrame:
    """Return the (query, document_id, window) whose clicks are not believed; released ones not.

    With n clicks before on E looks before, the rate of a pair has a Gamma posterior, and the
    clicks of a window on so many looks are negative binomial around it. Their tail is bounded by
    Chernoff's method, which errs to the side of no burst; the false discovery rate is held within
    each query (Benjamini & Hochberg 1995). A look is taken to be one over the root of the
    position: rough, but no client can sway it.

    A burst is no history. It is released when the next window goes on at half its rate or more,
    by other clients: news lasts and spreads, an attack must be paid again.

    Args:
        rows: of sessions, those that are believed so far.
        window_s: length of a window in seconds; windows are cut at whole multiples since 1970.
        config: the limits.

    """
    cells = _cells(rows, window_s, config.min_clicks)
    bursting = cells.select(*_CELL).clear()
    for _ in range(2):  # the second time without what the first time found as history
        bursting = _unusual(cells, bursting, config)
    released = _went_on(rows, cells, bursting, window_s, config)
    return bursting.join(released, on=_CELL, how="anti").sort(*_CELL)


def window_of(window_s: float) -> pl.Expr:
    """Tell which window a row is in, by number."""
    return (pl.col("at").dt.epoch("us") // int(window_s * _MICROSECONDS)).alias("window")


def _cells(rows: pl.DataFrame, window_s: float, min_clicks: int) -> pl.DataFrame:
    """Add up looks and clicks by pair and window, of queries where any pair may burst."""
    windowed = rows.lazy().with_columns(window_of(window_s))
    often = windowed.filter("clicked").group_by(_CELL).len().filter(pl.col("len") >= min_clicks)
    return (
        windowed.join(often.select("query").unique(), on="query", how="semi")
        .group_by(_CELL)
        .agg(looks=_LOOK.sum(), clicks=pl.col("clicked").sum())
        .sort(_CELL)
        .collect()
    )


def _unusual(cells: pl.DataFrame, bursting: pl.DataFrame, config: BurstConfig) -> pl.DataFrame:
    """Find the windows whose clicks are too many after the windows before, bursts left aside."""
    calm = cells.join(
        bursting.with_columns(burst=pl.lit(value=True)), on=_CELL, how="left", maintain_order="left"
    ).with_columns(usual=pl.col("burst").is_null())

    def before(column: str) -> pl.Expr:
        counted = pl.col(column) * pl.col("usual")
        return (counted.cum_sum() - counted).over(_PAIR, order_by="window")

    shape = config.usual_rate * config.usual_looks + before("clicks")
    expected = shape / (config.usual_looks + before("looks")) * pl.col("looks")
    n = pl.col("clicks").cast(pl.Float64)
    unlikely = (
        n * (n / pl.col("expected")).log()
        - (n + pl.col("shape"))
        * ((n + pl.col("shape")) / (pl.col("expected") + pl.col("shape"))).log()
    )
    enough = (n >= config.min_clicks) & (n > pl.col("expected"))
    tails = (
        calm.with_columns(shape=shape, expected=expected, family=pl.len().over("query"))
        .filter(enough)
        .with_columns(tail=(-unlikely).exp())
    )
    return discovered(tails, config.false_discoveries, order=_CELL[1:]).select(_CELL)


def _went_on(
    rows: pl.DataFrame,
    cells: pl.DataFrame,
    bursting: pl.DataFrame,
    window_s: float,
    config: BurstConfig,
) -> pl.DataFrame:
    """Find the bursts that other clients carried on in the window after."""
    at_burst = rows.with_columns(window_of(window_s), who=_WHO).join(
        bursting.select(_PAIR).unique(), on=_PAIR, how="semi"
    )
    same = at_burst.filter("clicked").select(*_PAIR, "who", window=pl.col("window") + 1).unique()
    after = (
        at_burst.join(same, on=[*_CELL, "who"], how="anti")
        .group_by(_CELL)
        .agg(looks_after=_LOOK.sum(), clicks_after=pl.col("clicked").sum())
        .with_columns(pl.col("window") - 1)
    )
    goes_on = pl.col("clicks_after") / pl.col("looks_after") >= _HALF * (
        pl.col("clicks") / pl.col("looks")
    )
    return (
        bursting.join(cells, on=_CELL)
        .join(after, on=_CELL)
        .filter(goes_on & (pl.col("clicks_after") >= config.min_clicks))
        .select(_CELL)
    )
