"""A position-based model of two classes, relevant or clicked by accident, that pools queries."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from desireline.trainer.clickmodels.base import (
    ClickLog,
    ClickNoise,
    CountArrays,
    FittedClickModel,
    Indices,
    Numbers,
    fitted,
)
from desireline.trainer.clickmodels.logistic import Standardised, newton_step, sigmoid
from desireline.trainer.clickmodels.users import Step
from desireline.trainer.documents.pair_features import PairFeatures

#: Attraction of accidents and of relevant documents before any click is seen, and what it weighs.
_USUAL = np.array([0.05, 0.6])
_USUAL_LOOKS = 20.0
_MOST = 0.999
#: Users who click anything alike would make every click worth without end.
_LEAST_CONTRAST = 0.1


class LatentRelevanceConfig(BaseModel, frozen=True, extra="forbid"):
    """Of the estimation."""

    kind: Literal["latent"] = "latent"
    #: Of each of the three fits; each goes on where the one before ended.
    iterations: int = Field(default=12, ge=1)
    #: Ridge of the logistic prior.
    ridge: float = Field(default=1.0, gt=0)
    #: Looks that the usual click-through of a document is worth.
    document_strength: float = Field(default=5.0, gt=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAndErr:
    """The position decides on the look; what is looked at is relevant or clicked by accident."""

    #: By place.
    examination: Numbers
    #: P(click | look) of what is not relevant.
    accident: float
    #: P(click | look) of what is relevant.
    relevant: float

    def begin(self, place: Indices) -> Numbers:
        """Look as the place says."""
        return self.examination[place]

    def go_on(self, step: Step) -> Numbers:
        """Look as the place says."""
        return self.examination[step.place]

    def appeal(self, attraction: Numbers) -> Numbers:
        """Mix both classes by P(relevant)."""
        return self.accident + attraction * (self.relevant - self.accident)


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """Estimates between two turns."""

    #: P(relevant) of each pair before and after its own clicks.
    prior: Numbers
    relevant: Numbers
    #: Attraction of accidents and of relevant documents, shape (2,).
    attraction: Numbers
    #: Examination of each place.
    theta: Numbers
    beta: Numbers


class LatentRelevance:
    """A document is relevant to a query or not; P(click) = theta(position) x a(class).

    Assumptions: those of the position-based model, and that the attraction takes only two
    values, one for relevant documents and one for accidents. Then the grade is P(relevant |
    clicks), and one click already counts for as much as it is worth: it multiplies the odds
    by a1/a0. The odds before the clicks come from a logistic regression on features of the
    pair, learned in the same expectation maximisation (after Wang et al. 2018, regression-EM).
    Most queries are typed once, so what a query's neighbours clicked and how the document
    fares under other queries are features too, made from the estimates of a first fit.

    The grade of a pair never counts its own clicks twice: both pooled features leave the
    pair's own query out.
    """

    def __init__(self, config: LatentRelevanceConfig | None = None) -> None:
        self._config = config or LatentRelevanceConfig()

    def fit(self, log: ClickLog, features: PairFeatures | None = None) -> FittedClickModel:
        """Estimate P(relevant | clicks) of every pair; without features all start alike."""
        arrays = log.arrays
        if not arrays.pairs.height:
            return _result(log, _start(arrays))
        known = [_of_position(arrays)]
        if features is not None:
            known.append(features.of(arrays.pairs))
        state = self._converge(arrays, np.concatenate(known, axis=1), _start(arrays))
        if features is not None:
            known.append(_usual_of_document(arrays, state, self._config.document_strength))
            state = self._converge(arrays, np.concatenate(known, axis=1), state)
            known.append(_of_neighbours(arrays, state, features))
            state = self._converge(arrays, np.concatenate(known, axis=1), state)
        return _result(log, state)

    def noise(self, log: ClickLog) -> ClickNoise:
        """Estimate only how users look and err, from clicks and positions alone."""
        arrays = log.arrays
        state = _start(arrays)
        if arrays.pairs.height:
            state = self._converge(arrays, _of_position(arrays), state)
        accident, relevant = state.attraction.tolist()
        return ClickNoise(
            examination=dict(zip(arrays.positions, state.theta.tolist(), strict=True)),
            accident=accident,
            relevant=max(relevant, accident + _LEAST_CONTRAST),
        )

    def _converge(self, arrays: CountArrays, columns: Numbers, start: _State) -> _State:
        """Go on from the estimates of a fit with fewer columns."""
        x = Standardised.of(columns)
        beta = np.pad(start.beta, (0, x.matrix.shape[1] - len(start.beta)))
        state = replace(start, beta=beta, prior=sigmoid(x.matrix @ beta))
        for _ in range(self._config.iterations):
            state = self._turn(arrays, x, state)
        return _believe(arrays, state)

    def _turn(self, arrays: CountArrays, x: Standardised, state: _State) -> _State:
        relevant = _believe(arrays, state).relevant
        beta = newton_step(x, relevant, state.beta, ridge=self._config.ridge)
        attraction, theta = _maximise(arrays, relevant, state)
        prior = sigmoid(x.matrix @ beta)
        return _State(prior=prior, relevant=relevant, attraction=attraction, theta=theta, beta=beta)


def _start(arrays: CountArrays) -> _State:
    return _State(
        prior=np.zeros(0),
        relevant=np.zeros(0),
        attraction=_USUAL,
        theta=1 / np.sqrt(np.arange(1.0, len(arrays.positions) + 1)),
        beta=np.array([-2.0]),
    )


def _believe(arrays: CountArrays, state: _State) -> _State:
    """Update P(relevant) by the clicks and skips of each pair (expectation)."""
    odds = np.log(state.prior + 1e-12) - np.log(1 - state.prior + 1e-12)
    return replace(state, relevant=sigmoid(odds + arrays.by_pair(_evidence(arrays, state))))


def _evidence(arrays: CountArrays, state: _State) -> Numbers:
    """Log of how much likelier each row is if the document is relevant."""
    theta = state.theta[arrays.place]
    accident, wanted = state.attraction
    found = arrays.clicks * np.log(wanted / accident) + (arrays.impressions - arrays.clicks) * (
        np.log1p(-np.minimum(theta * wanted, _MOST))
        - np.log1p(-np.minimum(theta * accident, _MOST))
    )
    return np.asarray(found, dtype=np.float64)


def _looks(arrays: CountArrays, theta: Numbers, attraction: float) -> Numbers:
    """Expect this many looks of each row under one class."""
    at = theta[arrays.place]
    skipped = arrays.impressions - arrays.clicks
    looks = arrays.clicks + skipped * at * (1 - attraction) / (1 - at * attraction)
    return np.asarray(looks, dtype=np.float64)


def _maximise(arrays: CountArrays, relevant: Numbers, state: _State) -> tuple[Numbers, Numbers]:
    """Estimate attraction and examination from what was shown; the top is always looked at."""
    share = relevant[arrays.pair] * arrays.shown
    shares = np.stack([arrays.shown - share, share])
    looks = np.stack([_looks(arrays, state.theta, float(a)) for a in state.attraction])
    attraction = ((shares * arrays.clicks).sum(axis=1) + _USUAL * _USUAL_LOOKS) / (
        (shares * looks).sum(axis=1) + _USUAL_LOOKS
    )
    seen = arrays.by_place(arrays.impressions * arrays.shown)
    theta = (arrays.by_place((shares * looks).sum(axis=0)) + 1e-3) / (seen + 1e-3)
    attraction = np.clip(attraction * theta[0], 1e-4, 0.98)
    theta = np.minimum(theta / theta[0], _MOST)
    # The classes have no names but their order.
    return np.sort(attraction), theta


def _of_position(arrays: CountArrays) -> Numbers:
    """Give the engine's own opinion of each pair: mean log and inverse position. (pairs, 2).

    The inverse lets the first answer be better than the trend of the others.
    """
    position = np.maximum(1.0, np.array(arrays.positions, dtype=np.float64))
    total = arrays.by_pair(arrays.impressions)
    means = [
        arrays.by_pair(arrays.impressions * each[arrays.place]) / total
        for each in (np.log1p(position), 1 / position)
    ]
    return np.stack(means, axis=1)


def _usual_of_document(arrays: CountArrays, state: _State, strength: float) -> Numbers:
    """Log click-through per look of the document under all other queries. Shape (pairs, 1)."""
    looked = arrays.by_pair(arrays.impressions * state.theta[arrays.place] * arrays.shown)
    clicked = arrays.by_pair(arrays.clicks * arrays.shown)
    document = arrays.pairs.get_column("document_id").rank("dense").to_numpy().astype(np.intp) - 1
    usual = (clicked.sum() + 1e-6) / (looked.sum() + 1e-3)
    others_clicked = np.bincount(document, clicked)[document] - clicked
    others_looked = np.bincount(document, looked)[document] - looked
    rate = (others_clicked + strength * usual) / (others_looked + strength)
    return np.asarray(np.log(rate)[:, None], dtype=np.float64)


def _of_neighbours(arrays: CountArrays, state: _State, features: PairFeatures) -> Numbers:
    """Pool what like queries did with the same document. Shape (pairs, 2)."""
    evidence = np.clip(arrays.by_pair(_evidence(arrays, state)), -3.0, 6.0)
    looked = arrays.by_pair(arrays.impressions * state.theta[arrays.place] * arrays.shown)
    clicked = arrays.by_pair(arrays.clicks * arrays.shown)
    links = features.links(arrays.pairs)
    rate = (links.pool(clicked) + 0.03) / (links.pool(looked) + 0.3)
    return np.stack([links.pool(evidence), np.log(rate)], axis=1)


def _result(log: ClickLog, state: _State) -> FittedClickModel:
    arrays = log.arrays
    accident, wanted = state.attraction.tolist()
    relevant = state.relevant[arrays.pair]
    looks = (1 - relevant) * _looks(arrays, state.theta, accident) + relevant * _looks(
        arrays, state.theta, wanted
    )
    impressions = arrays.by_pair(arrays.impressions)
    return fitted(
        log,
        LookAndErr(examination=state.theta, accident=accident, relevant=wanted),
        attraction=state.relevant,
        looks=arrays.by_pair(looks),
        variance=state.relevant * (1 - state.relevant),
        examination=state.theta,
        usual=float((impressions * state.relevant).sum() / max(impressions.sum(), 1e-12)),
    )
