"""How users look, from documents that changed their rank; nobody's ranking is randomised.

When a new encoder or a new document moves an answer from one position to another, its query and
its relevance stay, so that the difference in clicks is what the position does.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, Field

from desireline.trainer.clickmodels.backing_off import BackingOff, BackingOffConfig
from desireline.trainer.clickmodels.base import ClickLog, CountArrays, FittedClickModel, Numbers
from desireline.trainer.clickmodels.examination_em import (
    better_theta,
    expected,
    first_guess,
    settled,
)
from desireline.trainer.clickmodels.position_based import PositionBased, position_based_fit
from desireline.trainer.documents.pair_features import PairFeatures


class HarvestingConfig(BaseModel, frozen=True, extra="forbid"):
    """When rank changes are enough, and how the estimate is made."""

    kind: Literal["harvested"] = "harvested"
    iterations: int = Field(default=100, ge=1)
    #: Clicks on documents that changed their rank, below which they say nothing.
    min_clicks: int = Field(default=100, ge=1)
    prior: BackingOffConfig = Field(default=BackingOffConfig())


@dataclass(frozen=True, slots=True, kw_only=True)
class Propensities:
    """How likely a user looks at each position, with what it is known from."""

    #: By position; empty where rank changes are too few.
    examination: dict[int, float]
    #: Clicks on pairs that stood at more than one position, those impressions matched.
    clicks: float
    #: One sentence: what was found, or why nothing was.
    sentence: str


def harvest(log: ClickLog, config: HarvestingConfig | None = None) -> Propensities:
    """Estimate the examination of each position from rank changes alone.

    The all-pairs estimator (Agarwal et al. 2019): for each two positions, what stood at both is one
    set, and each document counts at both with the same weight, so that the set is equally relevant
    at both. P(click) = examination(position) x relevance(set) is then maximised over all sets.
    Positions that no rank change leads to, not even by way of others, are left out.
    """
    config = config or HarvestingConfig()
    matched = _matched(log.counts)
    clicks = float(matched.get_column("clicks").sum()) / 2
    if clicks < config.min_clicks:
        return Propensities(
            examination={},
            clicks=clicks,
            sentence=f"{clicks:,.0f} clicks fell on documents that changed their rank, fewer than"
            f" the {config.min_clicks:,} from which positions can be told apart",
        )
    arrays = _sets(matched)
    theta, alpha = first_guess(len(arrays.positions)), np.full(arrays.pairs.height, 0.2)
    prior = BackingOff(config=config.prior, links=None)
    for _ in range(config.iterations):
        looks, attracted = expected(arrays, theta, alpha)
        alpha = prior.shrink(arrays.by_pair(attracted), arrays.seen_by_pair)
        theta = better_theta(arrays, looks)
    return Propensities(
        examination=dict(zip(arrays.positions, np.minimum(theta, 1.0).tolist(), strict=True)),
        clicks=clicks,
        sentence=f"the examination of {len(theta)} positions comes from {clicks:,.0f} clicks on"
        " documents that changed their rank",
    )


def _matched(counts: pl.DataFrame) -> pl.DataFrame:
    """Pair every two positions of a document; impressions of both are weighed to be equal.

    Columns upper, lower (the two positions), position (one of them), impressions, clicks.
    """
    placed = counts.filter(pl.col("shown") & pl.col("position").is_not_null()).select(
        "query", "document_id", "position", "impressions", rate=pl.col("clicks") / "impressions"
    )
    both = placed.join(placed, on=["query", "document_id"], suffix="_there").filter(
        pl.col("position") != pl.col("position_there")
    )
    n, there = pl.col("impressions"), pl.col("impressions_there")
    weight = 2 * n * there / (n + there)
    return (
        both.group_by(
            upper=pl.min_horizontal("position", "position_there"),
            lower=pl.max_horizontal("position", "position_there"),
            position="position",
        )
        .agg(impressions=weight.sum(), clicks=(weight * pl.col("rate")).sum())
        .sort("upper", "lower", "position")
    )


def _sets(matched: pl.DataFrame) -> CountArrays:
    """Give numbers to the sets (as pairs) and to positions that hang together with the top."""
    matched = matched.filter(pl.col("position").is_in(sorted(_connected(matched))))
    positions, place = np.unique(matched.get_column("position").to_numpy(), return_inverse=True)
    sets = matched.select("upper", "lower").unique(maintain_order=True)
    numbered = matched.join(
        sets.with_row_index("set"), on=["upper", "lower"], maintain_order="left"
    )
    return CountArrays(
        pairs=sets,
        pair=numbered.get_column("set").to_numpy().astype(np.intp),
        place=place.astype(np.intp),
        impressions=matched.get_column("impressions").to_numpy(),
        clicks=matched.get_column("clicks").to_numpy(),
        shown=np.ones(matched.height, dtype=np.bool_),
        positions=tuple(positions.tolist()),
    )


def _connected(matched: pl.DataFrame) -> set[int]:
    """Positions that a chain of rank changes joins to the top-most one that changed."""
    edges = list(matched.select("upper", "lower").unique().iter_rows())
    found = {min(upper for upper, _ in edges)}
    while grown := {each for edge in edges if found & set(edge) for each in edge} - found:
        found |= grown
    return found


class Harvested:
    """The position-based model, its examination taken from rank changes where there are enough.

    Positions without any are looked at as expectation maximisation over the whole log says; so are
    all of them where documents hardly ever changed their rank. `sentence` says which it was.
    """

    def __init__(self, config: HarvestingConfig | None = None) -> None:
        self._config = config or HarvestingConfig()

    def fit(self, log: ClickLog, features: PairFeatures | None = None) -> FittedClickModel:
        """Estimate the attraction under the harvested examination."""
        found = harvest(log, self._config)
        whole = PositionBased().fit(log, features)
        if not found.examination:
            return replace(whole, sentence=found.sentence)
        arrays, prior = log.arrays, BackingOff.of(log, features, self._config.prior)
        theta = _joined(found.examination, whole, arrays.positions)
        alpha = whole.attractiveness.get_column("attraction").to_numpy()
        alpha = settled(arrays, theta, alpha, prior)
        return replace(position_based_fit(log, theta, alpha, prior), sentence=found.sentence)


def _joined(
    harvested: dict[int, float], whole: FittedClickModel, positions: tuple[int, ...]
) -> Numbers:
    """Harvested where known, else the whole log's, on the scale that joins both at the top."""
    top = min(harvested)
    scale = whole.examination[top]
    theta = [
        harvested[each] * scale if each in harvested else whole.examination[each]
        for each in positions
    ]
    return np.minimum(np.array(theta, dtype=np.float64), 1.0)
