"""Expectation maximisation for P(click) = examination(place) x attraction(pair), over counts.

Shared by models whose look depends on something observed, whatever they call a place: the
position, or the position and the last click. Exact: impressions that agree in place and pair have
the same expectation, so a count stands for all of them.
"""

import numpy as np

from desireline.trainer.clickmodels.backing_off import BackingOff
from desireline.trainer.clickmodels.click_log import CountArrays
from desireline.trainer.clickmodels.users import Numbers

_ALMOST_ONE = 1 - 1e-9
_SETTLING_TURNS = 20


def first_guess(places: int) -> Numbers:
    """Begin with one over the root of the place, counted from 1."""
    return np.asarray(1 / np.sqrt(np.arange(1.0, places + 1)))


def guessed_mean(arrays: CountArrays) -> float:
    """Guess the mean attraction: clicks over looks, if users looked as first guessed."""
    looks = arrays.impressions * at_rows(arrays, first_guess(len(arrays.positions)))
    return float(arrays.clicks.sum() / max(looks.sum(), 1e-12))


def expected(arrays: CountArrays, theta: Numbers, alpha: Numbers) -> tuple[Numbers, Numbers]:
    """Expect looks and attraction, clicked or not, of each row.

    With theta the examination, alpha the attraction, a skipped impression was looked at all the
    same with probability theta (1 - alpha) / (1 - theta alpha), and attractive unseen with
    alpha (1 - theta) / (1 - theta alpha).
    """
    row_theta, row_alpha = at_rows(arrays, theta), alpha[arrays.pair]
    unclicked = 1 - np.minimum(row_theta * row_alpha, _ALMOST_ONE)
    skipped = (arrays.impressions - arrays.clicks) / unclicked
    looks = arrays.clicks + skipped * row_theta * (1 - row_alpha)
    attracted = arrays.clicks + skipped * row_alpha * (1 - row_theta)
    return looks, attracted


def settled(arrays: CountArrays, theta: Numbers, alpha: Numbers, prior: BackingOff) -> Numbers:
    """Maximise the attraction once the examination is known; now ranks may be believed too.

    Of what was looked at, exactly the attractive is clicked: attraction is clicks over looks.
    """
    clicks = arrays.by_pair(arrays.clicks)
    for _ in range(_SETTLING_TURNS):
        looks, _ = expected(arrays, theta, alpha)
        alpha = prior.shrink(clicks, arrays.by_pair(looks))
    return alpha


def better_theta(arrays: CountArrays, looks: Numbers, *, strength: float = 0.0) -> Numbers:
    """Maximise the examination of each place; the first place is always looked at.

    That fixes the scale, which clicks alone cannot tell. `strength` draws rare places to one half.
    """
    seen = arrays.shown_by_place
    theta = (arrays.by_place(looks * arrays.shown) + 0.5 * strength) / np.maximum(
        seen + strength, 1e-12
    )
    theta[:1] = 1.0
    return theta


def at_rows(arrays: CountArrays, theta: Numbers) -> Numbers:
    """Give each row its examination; what was clicked without being shown was looked at."""
    return np.where(arrays.shown, theta[arrays.place], 1.0)
