"""The position-based model: a click needs a look and attraction."""

from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from desireline.trainer.clickmodels.base import (
    Attractions,
    CountArrays,
    Numbers,
    attractions,
    to_arrays,
)
from desireline.trainer.pair_features import PairFeatures

_ALMOST_ONE = 1 - 1e-9


class PositionBasedConfig(BaseModel, frozen=True, extra="forbid"):
    """Of the estimation."""

    kind: Literal["pbm"] = "pbm"
    iterations: int = Field(default=50, ge=1)
    #: Beta prior of the attraction: looks it is worth, and its mean.
    prior_strength: float = Field(default=1.0, gt=0)
    prior_mean: float = Field(default=0.2, gt=0, lt=1)


class PositionBased:
    """P(click) = examination(position) x attraction(query, document).

    Assumptions (Richardson et al. 2007; Craswell et al. 2008; Chuklin et al. 2015, 3.3):
    - a user clicks exactly what is both looked at and attractive;
    - the look depends on the position only, the attraction on query and document only;
    - the top-most position is always looked at (this fixes the scale, which clicks alone
      cannot tell).

    Estimated by expectation maximisation over counts. With theta the examination, alpha the
    attraction, a skipped impression was looked at all the same with probability
    theta (1 - alpha) / (1 - theta alpha), and attractive unseen with
    alpha (1 - theta) / (1 - theta alpha).
    """

    def __init__(self, config: PositionBasedConfig | None = None) -> None:
        self._config = config or PositionBasedConfig()

    def fit(self, counts: pl.DataFrame, features: PairFeatures | None = None) -> Attractions:  # noqa: ARG002 - of the port
        """Estimate examination and attraction."""
        arrays = to_arrays(counts)
        theta = 1 / np.sqrt(np.arange(1.0, len(arrays.positions) + 1))
        alpha = np.full(arrays.pairs.height, self._config.prior_mean)
        for _ in range(self._config.iterations):
            theta, alpha = self.step(arrays, theta, alpha)
        looks, _ = _expected(arrays, theta, alpha)
        chance = _theta(arrays, theta) * alpha[arrays.pair]
        return attractions(arrays, alpha, arrays.by_pair(looks), theta, chance)

    def step(self, arrays: CountArrays, theta: Numbers, alpha: Numbers) -> tuple[Numbers, Numbers]:
        """Do one turn of expectation and maximisation."""
        looks, attracted = _expected(arrays, theta, alpha)
        strength, mean = self._config.prior_strength, self._config.prior_mean
        better_alpha = (arrays.by_pair(attracted) + strength * mean) / (
            arrays.by_pair(arrays.impressions) + strength
        )
        seen = arrays.by_place(arrays.impressions * arrays.shown)
        better_theta = arrays.by_place(looks * arrays.shown) / np.maximum(seen, 1e-12)
        better_theta[:1] = 1.0
        return better_theta, better_alpha


def sample_clicks(
    examination: Numbers, attraction: Numbers, random: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw what users of a position-based model click.

    Args:
        examination: by position, shape (positions,).
        attraction: of what each search shows, shape (searches, positions).
        random: where the dice come from.

    """
    looked = random.random(attraction.shape) < examination
    return looked & (random.random(attraction.shape) < attraction)


def _theta(arrays: CountArrays, theta: Numbers) -> Numbers:
    """Give each row its examination; what was clicked without being shown was looked at."""
    return np.where(arrays.shown, theta[arrays.place], 1.0)


def _expected(arrays: CountArrays, theta: Numbers, alpha: Numbers) -> tuple[Numbers, Numbers]:
    """Expect looks and attraction, clicked or not, of each row."""
    row_theta, row_alpha = _theta(arrays, theta), alpha[arrays.pair]
    skipped = arrays.impressions - arrays.clicks
    unclicked = 1 - np.minimum(row_theta * row_alpha, _ALMOST_ONE)
    looks = arrays.clicks + skipped * row_theta * (1 - row_alpha) / unclicked
    attracted = arrays.clicks + skipped * row_alpha * (1 - row_theta) / unclicked
    return looks, attracted
