"""The dynamic Bayesian network model: read from the top until satisfied or tired."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from desireline.trainer.clickmodels.backing_off import BackingOff, BackingOffConfig
from desireline.trainer.clickmodels.base import ClickLog, FittedClickModel, Numbers, fitted
from desireline.trainer.clickmodels.examination_em import guessed_mean
from desireline.trainer.clickmodels.reading import (
    Reading,
    Sums,
    looks_by_place,
    read,
    unplaced_clicks,
)
from desireline.trainer.clickmodels.users import ReadFromTop
from desireline.trainer.documents.pair_features import PairFeatures

#: Perseverance to begin with, if it is to be learned.
_USUAL_PERSEVERANCE = 0.9
_SETTLING_TURNS = 10


class DynamicBayesianConfig(BaseModel, frozen=True, extra="forbid"):
    """Of the estimation."""

    kind: Literal["dbn"] = "dbn"
    iterations: int = Field(default=50, ge=0)
    #: P(read on | not satisfied); left out: learned.
    perseverance: float | None = Field(default=None, gt=0, le=1)
    prior: BackingOffConfig = Field(default=BackingOffConfig())
    #: Last clicks that draw a rare pair's satisfaction to the mean: what follows a click says
    #: little of it, so that more is needed than for the attraction.
    satisfaction_strength: float = Field(default=20.0, gt=0)


class DynamicBayesian:
    """Attraction makes a click, satisfaction ends the reading, and so may weariness.

    Assumptions (Chapelle & Zhang 2009; Chuklin et al. 2015, 3.8):
    - users read from the top and click what they look at and what attracts them;
    - a click satisfies with a probability of the query and the document, and ends the reading;
    - who is not satisfied reads on with a probability that is the same for all (perseverance).

    What is relevant attracts and satisfies. Estimated by expectation maximisation, exact over the
    part of each page below its last click, where nobody knows how far users read.
    """

    def __init__(self, config: DynamicBayesianConfig | None = None) -> None:
        self._config = config or DynamicBayesianConfig()

    def fit(self, log: ClickLog, features: PairFeatures | None = None) -> FittedClickModel:
        """Estimate attraction, satisfaction and perseverance."""
        prior = BackingOff.of(log, features, self._config.prior)
        state = _count(log, prior, self._config)
        learning = prior
        if self._config.perseverance is None:
            learning = prior.pinned(guessed_mean(log.arrays))
        for _ in range(self._config.iterations):
            state = _turn(log, learning, state, self._config)
        if self._config.perseverance is None:
            state = self._settle(log, prior, state)
        return _result(log, prior, state)

    def _settle(self, log: ClickLog, prior: BackingOff, state: "_State") -> "_State":
        """Go on with the perseverance that was learned; now ranks may be believed too."""
        known = self._config.model_copy(update={"perseverance": state.perseverance})
        for _ in range(min(_SETTLING_TURNS, self._config.iterations)):
            state = _turn(log, prior, state, known)
        return state


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """Estimates between two turns; arrays of shape (pairs,)."""

    attraction: Numbers
    satisfaction: Numbers
    perseverance: float
    #: Expected numbers behind them.
    hits: Numbers
    looks: Numbers
    ends: Numbers


def _count(log: ClickLog, prior: BackingOff, config: DynamicBayesianConfig) -> _State:
    """Count as if every last click had satisfied, and nothing below it had been looked at."""
    pages, unplaced = log.pages, unplaced_clicks(log)
    sums, ranks = Sums(pages=pages, pairs=log.pairs.height), np.arange(pages.pair.shape[1])
    last = pages.last_click[:, None]
    looked = ((ranks <= last) | (last < 0)) & pages.there
    hits = sums.by_pair(pages.clicked.astype(np.float64)) + unplaced
    looks = sums.by_pair(looked.astype(np.float64)) + unplaced
    ends = sums.by_pair((ranks == last).astype(np.float64))
    return _State(
        attraction=prior.shrink(hits, looks),
        satisfaction=_shrunk(ends, hits - unplaced, config.satisfaction_strength),
        perseverance=config.perseverance or _USUAL_PERSEVERANCE,
        hits=hits,
        looks=looks,
        ends=hits - unplaced,
    )


def _turn(log: ClickLog, prior: BackingOff, state: _State, config: DynamicBayesianConfig) -> _State:
    """Do one turn of expectation and maximisation."""
    sums, unplaced = Sums(pages=log.pages, pairs=log.pairs.height), unplaced_clicks(log)
    done = _read(log, state)
    looks = sums.by_pair(done.looked) + unplaced
    ends = sums.by_pair(done.tried)
    better = replace(
        state,
        attraction=prior.shrink(state.hits, looks),
        satisfaction=_shrunk(sums.by_pair(done.stopped), ends, config.satisfaction_strength),
        looks=looks,
        ends=ends,
    )
    if config.perseverance is not None:
        return better
    went_on, could = sums.total(done.went_on), sums.total(done.unsatisfied)
    return replace(better, perseverance=(went_on + _USUAL_PERSEVERANCE) / (could + 1))


def _read(log: ClickLog, state: _State) -> Reading:
    pages = log.pages
    if not len(state.attraction):
        empty = np.zeros(pages.pair.shape)
        return read(pages, empty, empty, state.perseverance)
    return read(
        pages, state.attraction[pages.pair], state.satisfaction[pages.pair], state.perseverance
    )


def _shrunk(hits: Numbers, tries: Numbers, strength: float) -> Numbers:
    """Draw rare pairs' satisfaction to the mean of the log, and that a little to one half."""
    usual = (hits.sum() + 0.5) / (tries.sum() + 1.0)
    return np.asarray((hits + strength * usual) / (tries + strength), dtype=np.float64)


def _result(log: ClickLog, prior: BackingOff, state: _State) -> FittedClickModel:
    of_attraction = prior.variance(state.attraction, state.looks)
    of_satisfaction = prior.variance(state.satisfaction, state.ends)
    variance = (
        of_attraction * of_satisfaction
        + of_attraction * state.satisfaction**2
        + of_satisfaction * state.attraction**2
    )
    return fitted(
        log,
        ReadFromTop(perseverance=state.perseverance),
        attraction=state.attraction,
        satisfaction=state.satisfaction,
        looks=state.looks,
        variance=variance,
        examination=looks_by_place(log, _read(log, state).looked),
        usual=prior.usual(state.hits, state.looks),
    )
