"""The simplest click model: how often what was shown was clicked."""

from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from desireline.trainer.clickmodels.base import ClickLog, FittedClickModel, fitted
from desireline.trainer.clickmodels.users import LookByPosition
from desireline.trainer.documents.pair_features import PairFeatures


class ClickThroughRateConfig(BaseModel, frozen=True, extra="forbid"):
    """How strongly rare pairs are pulled to what is usual."""

    kind: Literal["ctr"] = "ctr"
    #: Impressions that the prior is worth.
    prior_strength: float = Field(default=5.0, gt=0)


class ClickThroughRate:
    """Attraction is the share of clicks, with a Beta prior.

    Assumptions: a click means attraction, and position does not matter. The prior mean of a
    pair is the click-through rate of the positions where it was shown, so that a document
    shown once at the bottom is not held worse than its place.
    """

    def __init__(self, config: ClickThroughRateConfig | None = None) -> None:
        self._strength = (config or ClickThroughRateConfig()).prior_strength

    def fit(self, log: ClickLog, features: PairFeatures | None = None) -> FittedClickModel:  # noqa: ARG002 - of the port
        """Smooth the click-through rate of every pair."""
        arrays = log.arrays
        total = arrays.by_place(arrays.impressions)
        rate = arrays.by_place(arrays.clicks) / np.maximum(total, 1e-12)
        seen, clicked = arrays.by_pair(arrays.impressions), arrays.by_pair(arrays.clicks)
        usual = arrays.by_pair(arrays.impressions * rate[arrays.place]) / seen
        strength = self._strength
        attraction = (clicked + strength * usual) / (seen + strength)
        looked = np.ones(rate.shape)
        return fitted(
            log,
            LookByPosition(examination=looked),
            attraction=attraction,
            looks=seen,
            variance=attraction * (1 - attraction) / (seen + strength + 1),
            examination=looked,
            usual=float(clicked.sum() / max(seen.sum(), 1.0)),
        )
