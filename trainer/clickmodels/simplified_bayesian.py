"""The simplified DBN model: read from the top until satisfied, never tired."""

from typing import Literal

from pydantic import BaseModel, Field

from desireline.trainer.clickmodels.backing_off import BackingOffConfig
from desireline.trainer.clickmodels.base import ClickLog, FittedClickModel
from desireline.trainer.clickmodels.dynamic_bayesian import DynamicBayesian, DynamicBayesianConfig
from desireline.trainer.documents.pair_features import PairFeatures


class SimplifiedBayesianConfig(BaseModel, frozen=True, extra="forbid"):
    """Of the estimation."""

    kind: Literal["sdbn"] = "sdbn"
    #: 0 is the published way: count as if every last click had satisfied.
    iterations: int = Field(default=20, ge=0)
    prior: BackingOffConfig = Field(default=BackingOffConfig())
    #: As in `DynamicBayesianConfig`.
    satisfaction_strength: float = Field(default=20.0, gt=0)


class SimplifiedBayesian:
    """The dynamic Bayesian network with a perseverance of 1.

    Chapelle & Zhang (2009, algorithm 1) take every last click for a satisfying one and count:
    attraction is clicks over what stood at or above the last click, satisfaction is last clicks
    over clicks. That is biased where users read on in vain, so it is only the first guess of the
    expectation maximisation here; with `iterations` 0 it stays.
    """

    def __init__(self, config: SimplifiedBayesianConfig | None = None) -> None:
        config = config or SimplifiedBayesianConfig()
        self._model = DynamicBayesian(
            DynamicBayesianConfig(
                iterations=config.iterations,
                perseverance=1.0,
                prior=config.prior,
                satisfaction_strength=config.satisfaction_strength,
            )
        )

    def fit(self, log: ClickLog, features: PairFeatures | None = None) -> FittedClickModel:
        """Estimate attraction and satisfaction."""
        return self._model.fit(log, features)
