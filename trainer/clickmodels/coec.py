"""Clicks over expected clicks: how much more often than its places let expect."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from desireline.trainer.clickmodels.base import (
    ClickLog,
    CountArrays,
    FittedClickModel,
    Indices,
    Numbers,
    fitted,
)
from desireline.trainer.clickmodels.users import Step
from desireline.trainer.documents.pair_features import PairFeatures

#: Clicks that no place can do without, so that a click there is not worth infinitely much.
_LEAST_EXPECTED = 1e-12


class CoecConfig(BaseModel, frozen=True, extra="forbid"):
    """How strongly rare pairs are drawn to what is usual."""

    kind: Literal["coec"] = "coec"
    #: Expected clicks that the prior, a rating of 1, is worth; 0 is the textbook.
    prior_strength: float = Field(default=0.2, ge=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickAsUsual:
    """P(click) is the click-through of the place times the rating of the pair."""

    #: By place.
    click_through: Numbers

    def begin(self, place: Indices) -> Numbers:
        """Expect what is usual at the place."""
        return self.click_through[place]

    def go_on(self, step: Step) -> Numbers:
        """Expect what is usual at the place."""
        return self.click_through[step.place]

    def appeal(self, attraction: Numbers) -> Numbers:
        """Turn the attraction back into the rating, which has no upper bound."""
        return attraction / np.maximum(1 - attraction, 1e-9)


class CoecPerImpression:
    """Clicks over the click-through of every place where the pair was shown.

    Assumption (Zhang & Jones 2007): what is usual at a place is what the place does, not the
    documents that stand there. Attraction is rating / (1 + rating): one half means as many clicks
    as expected.
    """

    def __init__(self, config: CoecConfig | None = None) -> None:
        self._strength = (config or CoecConfig()).prior_strength

    def fit(self, log: ClickLog, features: PairFeatures | None = None) -> FittedClickModel:  # noqa: ARG002 - of the port
        """Count clicks and expected clicks."""
        arrays = log.arrays
        usual = click_through(arrays)
        looks = np.where(arrays.shown, arrays.impressions * usual[arrays.place], 0.0)
        expected, clicks = arrays.by_pair(looks), arrays.by_pair(arrays.clicks * arrays.shown)
        # What was clicked without being shown: as many clicks as a top-most impression expects.
        elsewhere = arrays.by_pair(arrays.clicks * ~arrays.shown)
        expected = expected + elsewhere * (usual.max(initial=0.0) or 1.0)
        rating = (clicks + elsewhere + self._strength) / np.maximum(
            expected + self._strength, _LEAST_EXPECTED
        )
        return rated(log, rating, expected, usual)


def click_through(arrays: CountArrays) -> Numbers:
    """Click-through by place, of what was shown."""
    seen = arrays.by_place(arrays.impressions * arrays.shown)
    return arrays.by_place(arrays.clicks * arrays.shown) / np.maximum(seen, _LEAST_EXPECTED)


def rated(log: ClickLog, rating: Numbers, expected: Numbers, usual: Numbers) -> FittedClickModel:
    """Turn ratings into attractions; the variance takes clicks to be rare and independent."""
    attraction = rating / (1 + rating)
    of_rating = (rating * expected + 1) / (expected + 1) ** 2
    top = usual.max(initial=0.0) or 1.0
    return fitted(
        log,
        ClickAsUsual(click_through=usual),
        attraction=attraction,
        looks=log.arrays.by_pair(log.arrays.impressions),
        variance=of_rating / (1 + rating) ** 4,
        examination=usual / top,
        usual=0.5,
    )
