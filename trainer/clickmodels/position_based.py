"""The position-based model: a click needs a look and attraction."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from desireline.trainer.clickmodels.backing_off import BackingOff, BackingOffConfig
from desireline.trainer.clickmodels.base import (
    ClickLog,
    CountArrays,
    FittedClickModel,
    Numbers,
    fitted,
)
from desireline.trainer.clickmodels.examination_em import (
    better_theta,
    expected,
    first_guess,
    guessed_mean,
    settled,
)
from desireline.trainer.clickmodels.users import LookByPosition
from desireline.trainer.documents.pair_features import PairFeatures


class PositionBasedConfig(BaseModel, frozen=True, extra="forbid"):
    """Of the estimation."""

    kind: Literal["pbm"] = "pbm"
    iterations: int = Field(default=50, ge=1)
    #: Prior of the attraction: the looks it is worth, and its mean (left out: of the log).
    prior_strength: float = Field(default=2.0, gt=0)
    prior_mean: float | None = Field(default=None, gt=0, lt=1)


class PositionBased:
    """P(click) = examination(position) x attraction(query, document).

    Assumptions (Richardson et al. 2007; Craswell et al. 2008; Chuklin et al. 2015, 3.3):
    - a user clicks exactly what is both looked at and attractive;
    - the look depends on the position only, the attraction on query and document only;
    - the top-most position is always looked at (this fixes the scale, which clicks alone
      cannot tell).
    """

    def __init__(self, config: PositionBasedConfig | None = None) -> None:
        self._config = config or PositionBasedConfig()
        self._prior = BackingOffConfig(
            strength=self._config.prior_strength, mean=self._config.prior_mean
        )

    def fit(self, log: ClickLog, features: PairFeatures | None = None) -> FittedClickModel:
        """Estimate examination and attraction."""
        arrays, prior = log.arrays, BackingOff.of(log, features, self._prior)
        theta = first_guess(len(arrays.positions))
        pinned = prior.pinned(guessed_mean(arrays))
        alpha = pinned.mean(arrays.seen_by_pair * 0, arrays.seen_by_pair)
        for _ in range(self._config.iterations):
            theta, alpha = self.step(arrays, theta, alpha, pinned)
        alpha = settled(arrays, theta, alpha, prior)
        return position_based_fit(log, theta, alpha, prior)

    def step(
        self,
        arrays: CountArrays,
        theta: Numbers,
        alpha: Numbers,
        prior: BackingOff | None = None,
    ) -> tuple[Numbers, Numbers]:
        """Do one turn of expectation and maximisation."""
        prior = prior or BackingOff(config=self._prior, links=None)
        looks, attracted = expected(arrays, theta, alpha)
        alpha = prior.shrink(arrays.by_pair(attracted), arrays.seen_by_pair)
        return better_theta(arrays, looks), alpha


def position_based_fit(
    log: ClickLog, theta: Numbers, alpha: Numbers, prior: BackingOff
) -> FittedClickModel:
    """Put examination by place and attraction by pair together."""
    arrays = log.arrays
    seen = arrays.by_pair(expected(arrays, theta, alpha)[0])
    return fitted(
        log,
        LookByPosition(examination=theta),
        attraction=alpha,
        looks=seen,
        variance=prior.variance(alpha, seen),
        examination=theta,
        usual=prior.usual(arrays.by_pair(arrays.clicks), seen),
    )


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
