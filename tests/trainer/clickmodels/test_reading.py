"""What readers must have done below their last click, against a sum over all they can have done."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.trainer.clickmodels.click_log import Pages
from desireline.trainer.clickmodels.reading import read

RANKS = 5
chance = st.floats(0.02, 0.98)
row = st.lists(chance, min_size=RANKS, max_size=RANKS).map(np.array)


def page(clicks, length):
    return Pages(
        pair=np.arange(RANKS)[None, :],
        position=np.arange(1, RANKS + 1)[None, :],
        clicked=np.array([clicks]) & (np.arange(RANKS) < length),
        there=np.arange(RANKS)[None, :] < length,
        count=np.ones(1),
    )


def slow(pages, attraction, stop, perseverance):
    """Weigh every way to have read the page by its likelihood.

    A way is how far a user read, and what ended it: satisfied by the click there, or tired.
    """
    clicks, length = pages.clicked[0], int(pages.there.sum())
    sums = {name: np.zeros(RANKS) for name in ("looked", "stopped", "unsatisfied", "went_on")}
    total = 0.0
    for end in range(length):
        if clicks[end + 1 :].any():
            continue
        likelihood = 1.0
        for rank in range(end + 1):
            likelihood *= attraction[rank] if clicks[rank] else 1 - attraction[rank]
            if rank < end:
                likelihood *= perseverance * (1 - stop[rank] if clicks[rank] else 1.0)
        at_end = [(1.0, False, False)]
        if end < length - 1:
            unsatisfied = 1 - stop[end] if clicks[end] else 1.0
            at_end = [(unsatisfied * (1 - perseverance), False, True)]
            at_end += [(stop[end], True, False)] if clicks[end] else []
        for weight, satisfied, tired in at_end:
            way = likelihood * weight
            total += way
            sums["looked"][: end + 1] += way
            sums["went_on"][:end] += way
            sums["unsatisfied"][: end + tired] += way
            sums["stopped"][end] += way * satisfied
    return {name: values / total for name, values in sums.items()}


@settings(max_examples=150, deadline=None)
@given(
    attraction=row,
    stop=row,
    perseverance=st.floats(0.02, 1.0),
    clicks=st.lists(st.booleans(), min_size=RANKS, max_size=RANKS),
    length=st.integers(1, RANKS),
)
def test_the_expectations_are_those_of_a_sum_over_every_way_to_read(
    attraction, stop, perseverance, clicks, length
):
    pages = page(clicks, length)
    done = read(pages, attraction[None, :], stop[None, :], perseverance)
    for name, values in slow(pages, attraction, stop, perseverance).items():
        np.testing.assert_allclose(getattr(done, name)[0], values, atol=1e-9, err_msg=name)


def test_a_long_silence_below_a_click_is_no_division_by_zero():
    """A hundred answers that everybody clicks, and nobody did: he surely stopped."""
    ranks = 100
    pages = Pages(
        pair=np.zeros((1, ranks), dtype=np.intp),
        position=np.arange(1, ranks + 1)[None, :],
        clicked=np.arange(ranks)[None, :] == 0,
        there=np.ones((1, ranks), dtype=np.bool_),
        count=np.ones(1),
    )
    done = read(pages, np.full((1, ranks), 1.0), np.full((1, ranks), 1e-12), 1.0)
    assert done.stopped[0, 0] == pytest.approx(1)
    assert all(
        np.isfinite(each).all()
        for each in (done.looked, done.stopped, done.unsatisfied, done.went_on)
    )
