"""The simplest click model: how often what was shown was clicked."""

from typing import Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, Field

from desireline.trainer.clickmodels.base import Attractions, attractions, to_arrays
from desireline.trainer.pair_features import PairFeatures


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

    def fit(self, counts: pl.DataFrame, features: PairFeatures | None = None) -> Attractions:  # noqa: ARG002 - of the port
        """Smooth the click-through rate of every pair."""
        arrays = to_arrays(counts)
        total = arrays.by_place(arrays.impressions)
        rate = arrays.by_place(arrays.clicks) / np.maximum(total, 1.0)
        seen, clicked = arrays.by_pair(arrays.impressions), arrays.by_pair(arrays.clicks)
        usual = arrays.by_pair(arrays.impressions * rate[arrays.place]) / seen
        attraction = (clicked + self._strength * usual) / (seen + self._strength)
        return attractions(arrays, attraction, seen, np.ones(rate.shape), attraction[arrays.pair])
