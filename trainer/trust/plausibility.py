"""Clicks that looks cannot explain.

People look from the top, so a document far down is clicked seldom, however right it is. Who pays
for clicks wants them where they pay: on what stands low.
"""

from collections.abc import Mapping

import polars as pl
from pydantic import BaseModel, Field

from desireline.trainer.clickmodels.base import UNKNOWN_POSITION
from desireline.trainer.clickmodels.latent_relevance import LatentRelevance
from desireline.trainer.judgments import click_log
from desireline.trainer.sessions import Sessions
from desireline.trainer.trust.false_discovery import discovered

TOO_EAGER = "clicks on pairs clicked more often than people look there"
FAR_DOWN = "clicks of clients and subnets that click only far down"

_PAIR = ["query", "document_id"]
_ALMOST_ONE = 1 - 1e-6
#: A few numbers are learned; more queries make them no better.
_MOST_QUERIES = 50_000
_HASHES = 2.0**64


class PlausibilityConfig(BaseModel, frozen=True, extra="forbid"):
    """When clicks are too many for where they are."""

    false_discoveries: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="Share of the pairs left out under one query that may be chance.",
    )
    min_clicks: int = Field(
        default=3, ge=2, description="A pair with fewer clicks is never clicked too often."
    )
    slack: float = Field(
        default=1.5,
        ge=1,
        description="How many times as often as right documents are found to be clicked at a"
        " position a pair may be clicked: the curve is an estimate.",
    )
    curve_searches: int = Field(
        default=3,
        ge=1,
        description="Searches of one query from which it is learned how people look: few, so that"
        " many clicks on few queries cannot bend it.",
    )
    far_down: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Far down are the positions below which this share of everybody's first clicks"
        " lie.",
    )
    unlikely: float = Field(
        default=1e-5,
        gt=0,
        lt=1,
        description="A client or subnet whose clicks lie so far down as chance puts them once in"
        " 1 / this is left out.",
    )


def looks_of(sessions: Sessions, config: PlausibilityConfig) -> dict[int, float]:
    """Estimate how often a document can be clicked at each position, with the slack.

    From the first searches of every query alone: a query has few votes, however often it is
    typed. Of very many queries some are drawn, by their text.
    """
    queries = sessions.frame.get_column("query").n_unique()
    drawn = pl.col("query").hash() / _HASHES <= _MOST_QUERIES / max(queries, 1)
    nth = pl.col("at").rank("dense").over("query")
    sample = sessions.only(drawn).only(nth <= config.curve_searches)
    noise = LatentRelevance().noise(click_log(sample))
    return {
        place: min(1.0, config.slack * looked * noise.relevant)
        for place, looked in noise.examination.items()
    }


def find_eager(
    rows: pl.DataFrame, looks: Mapping[int, float], config: PlausibilityConfig
) -> pl.DataFrame:
    """Return the pairs that are clicked more often than any document can be.

    The clicks of n impressions are taken to be at most binomial with the looks' mean; the tail
    beyond is bounded by Hoeffding (1963), and the false discovery rate held within each query.

    Args:
        rows: of sessions, those that are believed so far.
        looks: of `looks_of`; a position that it does not know is taken to be always looked at.
        config: the limits.

    """
    allowed = (
        pl.when("shown")
        .then(
            pl.col("position")
            .fill_null(UNKNOWN_POSITION)
            .replace_strict(
                list(looks),
                [float(looks[place]) for place in looks],
                default=1.0,
                return_dtype=pl.Float64,
            )
        )
        .otherwise(1.0)
    )
    pairs = (
        rows.lazy()
        .group_by(_PAIR)
        .agg(
            pl.len(), allowed=allowed.mean().clip(0.0, _ALMOST_ONE), clicks=pl.col("clicked").sum()
        )
        .with_columns(family=pl.len().over("query"), share=pl.col("clicks") / pl.col("len"))
    )
    often = (pl.col("clicks") >= config.min_clicks) & (pl.col("share") > pl.col("allowed"))
    suspects = pairs.filter(often).with_columns(tail=_tail()).collect()
    return discovered(suspects, config.false_discoveries, order=["document_id"]).select(_PAIR)


def find_far_down(rows: pl.DataFrame, who: str, config: PlausibilityConfig) -> pl.DataFrame:
    """Return whose clicks lie so far down that chance did not put them there.

    Args:
        rows: of sessions.
        who: "client" or "subnet".
        config: the limits.

    """
    clicks = rows.filter(pl.col("clicked") & (pl.col(who) != "") & pl.col("position").is_not_null())
    first = clicks.sort("at", "query_id", "position").unique(who, keep="first")
    if first.is_empty():
        return first.select(who)
    usual = first.get_column("position").quantile(1 - config.far_down, interpolation="higher")
    voices = clicks.group_by(who).agg(
        pl.len(), share=(pl.col("position") > usual).mean(), allowed=pl.lit(config.far_down)
    )
    too_far = (pl.col("share") > pl.col("allowed")) & (_tail() < config.unlikely)
    return voices.filter(too_far).select(who).sort(who)


def _tail() -> pl.Expr:
    """Bound the chance of a share as great as this of len trials, where so much is allowed."""
    share, allowed = pl.col("share"), pl.col("allowed")
    skipped = pl.when(share < 1).then((1 - share) * ((1 - share) / (1 - allowed)).log())
    divergence = share * (share / allowed).log() + skipped.otherwise(0.0)
    return (-1.0 * pl.col("len") * divergence).exp()
