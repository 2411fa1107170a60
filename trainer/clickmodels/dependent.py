"""The dependent click model: after a click, the position says whether users read on."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from desireline.trainer.clickmodels.backing_off import BackingOff, BackingOffConfig
from desireline.trainer.clickmodels.base import ClickLog, FittedClickModel, Numbers, fitted
from desireline.trainer.clickmodels.reading import (
    Reading,
    Sums,
    looks_by_place,
    read,
    unplaced_clicks,
)
from desireline.trainer.clickmodels.users import ReadFromTop
from desireline.trainer.documents.pair_features import PairFeatures


class DependentConfig(BaseModel, frozen=True, extra="forbid"):
    """Of the estimation."""

    kind: Literal["dcm"] = "dcm"
    #: 0 is the published way: count as if nobody had read on below a last click.
    iterations: int = Field(default=20, ge=0)
    #: Clicks that draw the stopping of a rare position to one half.
    stop_strength: float = Field(default=1.0, ge=0)
    prior: BackingOffConfig = Field(default=BackingOffConfig())


class Dependent:
    """Users read from the top; a click ends the reading with a probability of its position.

    Assumptions (Guo et al. 2009; Chuklin et al. 2015, 3.6): what is not clicked never ends the
    reading. The published estimate maximises a lower bound: nothing below the last click is held
    to be looked at, and the probability of stopping is last clicks over clicks. Here that is the
    first guess of an expectation maximisation of the likelihood itself; with `iterations` 0 it
    stays.
    """

    def __init__(self, config: DependentConfig | None = None) -> None:
        self._config = config or DependentConfig()

    def fit(self, log: ClickLog, features: PairFeatures | None = None) -> FittedClickModel:
        """Estimate attraction by pair and stopping by position."""
        prior = BackingOff.of(log, features, self._config.prior)
        strength = self._config.stop_strength
        state = _count(log, prior, strength)
        for _ in range(self._config.iterations):
            state = _turn(log, prior, state, strength)
        hits = _hits(log)
        return fitted(
            log,
            ReadFromTop(stop_by_place=state.stop),
            attraction=state.attraction,
            looks=state.looks,
            variance=prior.variance(state.attraction, state.looks),
            examination=looks_by_place(log, _read(log, state).looked),
            usual=prior.usual(hits, state.looks),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """Estimates between two turns."""

    #: By pair.
    attraction: Numbers
    looks: Numbers
    #: P(stop | click) by place.
    stop: Numbers


def _hits(log: ClickLog) -> Numbers:
    sums = Sums(pages=log.pages, pairs=log.pairs.height)
    return sums.by_pair(log.pages.clicked.astype(np.float64)) + unplaced_clicks(log)


def _count(log: ClickLog, prior: BackingOff, strength: float) -> _State:
    pages, sums = log.pages, Sums(pages=log.pages, pairs=log.pairs.height)
    last, ranks = pages.last_click[:, None], np.arange(pages.pair.shape[1])
    looked = ((ranks <= last) | (last < 0)) & pages.there
    looks = sums.by_pair(looked.astype(np.float64)) + unplaced_clicks(log)
    ends, clicks = (ranks == last).astype(np.float64), pages.clicked.astype(np.float64)
    return _State(
        attraction=prior.shrink(_hits(log), looks),
        looks=looks,
        stop=_stop(log, ends, clicks, strength),
    )


def _turn(log: ClickLog, prior: BackingOff, state: _State, strength: float) -> _State:
    """Do one turn of expectation and maximisation."""
    done = _read(log, state)
    looks = Sums(pages=log.pages, pairs=log.pairs.height).by_pair(done.looked)
    looks += unplaced_clicks(log)
    return _State(
        attraction=prior.shrink(_hits(log), looks),
        looks=looks,
        stop=_stop(log, done.stopped, done.tried, strength),
    )


def _read(log: ClickLog, state: _State) -> Reading:
    pages = log.pages
    if not len(state.attraction) or not len(state.stop):
        empty = np.zeros(pages.pair.shape)
        return read(pages, empty, empty, 1.0)
    stop = state.stop[log.place(pages.position)]
    return read(pages, state.attraction[pages.pair], stop, 1.0)


def _stop(log: ClickLog, stopped: Numbers, clicked: Numbers, strength: float) -> Numbers:
    """P(stop | click) by place, drawn to one half where clicks are rare."""
    places, place = len(log.positions), log.place(log.pages.position)
    sums = Sums(pages=log.pages, pairs=log.pairs.height)
    stops, clicks = (sums.by_place(each, place, places) for each in (stopped, clicked))
    return (stops + 0.5 * strength) / np.maximum(clicks + strength, 1e-12)
