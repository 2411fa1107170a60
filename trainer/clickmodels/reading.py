"""What users who read from the top must have done, given what they clicked.

The hidden part of a page is its tail: above the last click everything was looked at; below it a
user stopped or read on in vain, nobody knows how far. This is the exact expectation (forward and
backward over the tail), in log space, for all pages at once.
"""

from dataclasses import dataclass

import numpy as np

from desireline.trainer.clickmodels.click_log import ClickLog, Pages
from desireline.trainer.clickmodels.users import Indices, Numbers

_LEAST = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Expectations; arrays of shape (pages, ranks)."""

    #: P(looked at).
    looked: Numbers
    #: Whether a click could stop the user at all: some answer stood below it.
    tried: Numbers
    #: P(stopped, satisfied by the click there).
    stopped: Numbers
    #: P(stood there, not satisfied, with an answer below): could go on, or tire.
    unsatisfied: Numbers
    #: P(did go on from there).
    went_on: Numbers


def read(pages: Pages, attraction: Numbers, stop: Numbers, perseverance: float) -> Reading:
    """Expect what users of each page did.

    Args:
        pages: with clicks.
        attraction: P(click | look), shape (pages, ranks).
        stop: P(stop | click) at each rank, shape (pages, ranks).
        perseverance: P(go on | not satisfied).

    """
    silence = _log_silence(pages, attraction, perseverance)
    goes_on = _goes_on(silence, perseverance)
    stops = _stops_at_last(silence, stop, perseverance)
    last = pages.last_click
    below = np.pad(pages.there[:, 1:], ((0, 0), (0, 1)))
    looked, stopped, unsatisfied, went_on = (np.zeros(stop.shape) for _ in range(4))
    for rank in range(stop.shape[1]):
        before = went_on[:, rank - 1] if rank else pages.there[:, 0]
        looked[:, rank] = np.where(rank <= last, 1.0, before)
        stopped[:, rank] = np.where((rank == last) & below[:, rank], stops[:, rank], 0.0)
        unsatisfied[:, rank] = (looked[:, rank] - stopped[:, rank]) * below[:, rank]
        went_on[:, rank] = unsatisfied[:, rank] * np.where(rank < last, 1.0, goes_on[:, rank])
    return Reading(
        looked=looked,
        tried=(pages.clicked & below).astype(np.float64),
        stopped=stopped,
        unsatisfied=unsatisfied,
        went_on=went_on,
    )


def _log_silence(pages: Pages, attraction: Numbers, perseverance: float) -> Numbers:
    """Log P(no click from the next rank on | went on to it); 0 where no answer is below."""
    silence = np.zeros(attraction.shape)
    skip = np.log1p(-np.minimum(attraction, 1 - _LEAST)) * pages.there
    for rank in range(attraction.shape[1] - 2, -1, -1):
        tail = np.logaddexp(_log(1 - perseverance), _log(perseverance) + silence[:, rank + 1])
        below_that = pages.there[:, rank + 2] if rank + 2 < attraction.shape[1] else False
        silence[:, rank] = skip[:, rank + 1] + np.where(below_that, tail, 0.0)
    return silence


def _goes_on(silence: Numbers, perseverance: float) -> Numbers:
    """P(went on | could, and no click came below)."""
    on = _log(perseverance) + silence
    return np.exp(on - np.logaddexp(_log(1 - perseverance), on))


def _stops_at_last(silence: Numbers, stop: Numbers, perseverance: float) -> Numbers:
    """P(the click satisfied | it was the last one, and answers stood below)."""
    tired_or_in_vain = np.logaddexp(_log(1 - perseverance), _log(perseverance) + silence)
    satisfied = np.log(np.maximum(stop, 1e-300))
    not_satisfied = np.log1p(-np.minimum(stop, 1 - 1e-15)) + tired_or_in_vain
    return np.asarray(np.exp(satisfied - np.logaddexp(satisfied, not_satisfied)))


def _log(value: float) -> float:
    return float(np.log(value)) if value > 0 else -np.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Adds values of answers on pages up, each as often as its page was seen."""

    pages: Pages
    pairs: int

    def by_pair(self, values: Numbers) -> Numbers:
        """Add up by pair."""
        weighted = (values * self.pages.count[:, None])[self.pages.there]
        return np.bincount(
            self.pages.pair[self.pages.there], weighted, minlength=self.pairs
        ).astype(np.float64)

    def by_place(self, values: Numbers, place: Indices, places: int) -> Numbers:
        """Add up by place."""
        weighted = (values * self.pages.count[:, None])[self.pages.there]
        return np.bincount(place[self.pages.there], weighted, minlength=places).astype(np.float64)

    def total(self, values: Numbers) -> float:
        """Add up everything."""
        return float((values * self.pages.count[:, None])[self.pages.there].sum())


def unplaced_clicks(log: ClickLog) -> Numbers:
    """Clicks of each pair at no known position: looked at for certain, and nothing else known."""
    arrays = log.arrays
    known = arrays.shown & (arrays.place < len(log.positions))
    return arrays.by_pair(np.where(known, 0.0, arrays.clicks))


def looks_by_place(log: ClickLog, looked: Numbers) -> Numbers:
    """Share of what stood at each place that was looked at; 1 for unknown positions."""
    pages, places = log.pages, len(log.positions)
    sums, place = Sums(pages=pages, pairs=log.pairs.height), log.place(log.pages.position)
    seen = sums.by_place(np.ones(looked.shape), place, places)
    share = sums.by_place(looked, place, places) / np.maximum(seen, 1e-12)
    return np.pad(share, (0, len(log.arrays.positions) - places), constant_values=1.0)
