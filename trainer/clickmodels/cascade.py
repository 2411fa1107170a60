"""The cascade model: read from the top, click the first that attracts, and go."""

from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from desireline.trainer.clickmodels.backing_off import BackingOff, BackingOffConfig
from desireline.trainer.clickmodels.base import ClickLog, FittedClickModel, fitted
from desireline.trainer.clickmodels.reading import Sums, looks_by_place, unplaced_clicks
from desireline.trainer.clickmodels.users import ReadFromTop
from desireline.trainer.documents.pair_features import PairFeatures


class CascadeConfig(BaseModel, frozen=True, extra="forbid"):
    """Of the estimation."""

    kind: Literal["cascade"] = "cascade"
    prior: BackingOffConfig = Field(default=BackingOffConfig())


class Cascade:
    """Everything down to the first click was looked at, nothing below it.

    Assumptions (Craswell et al. 2008; Chuklin et al. 2015, 3.4): users read from the top, click
    what attracts them, and stop with the first click. The estimate is a closed form: clicks over
    looks. Further clicks on a page contradict the model; they are held against its likelihood and
    not counted.
    """

    def __init__(self, config: CascadeConfig | None = None) -> None:
        self._prior = (config or CascadeConfig()).prior

    def fit(self, log: ClickLog, features: PairFeatures | None = None) -> FittedClickModel:
        """Count what was looked at."""
        pages, prior = log.pages, BackingOff.of(log, features, self._prior)
        looked = (np.cumsum(pages.clicked, axis=1) - pages.clicked == 0) & pages.there
        sums, unplaced = Sums(pages=pages, pairs=log.pairs.height), unplaced_clicks(log)
        hits = sums.by_pair((looked & pages.clicked).astype(np.float64)) + unplaced
        looks = sums.by_pair(looked.astype(np.float64)) + unplaced
        attraction = prior.shrink(hits, looks)
        return fitted(
            log,
            ReadFromTop(),
            attraction=attraction,
            looks=looks,
            variance=prior.variance(attraction, looks),
            examination=looks_by_place(log, looked.astype(np.float64)),
            usual=prior.usual(hits, looks),
        )
