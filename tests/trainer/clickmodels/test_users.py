"""Every way to go through a page, against a slow sum over all that users can do unseen."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.trainer.clickmodels.users import (
    BrowseFromLastClick,
    Layout,
    LookByPosition,
    ReadFromTop,
    click_probability,
    sample,
)

RANKS = 4
chances = st.lists(st.floats(0.02, 0.98), min_size=RANKS, max_size=RANKS).map(np.array)
tables = st.lists(chances, min_size=RANKS + 1, max_size=RANKS + 1).map(
    lambda rows: np.array(rows).T
)
PATTERNS = np.array(list(product([False, True], repeat=RANKS)))


def pages(appeal, satisfaction, count=2**RANKS):
    return Layout(
        place=np.tile(np.arange(RANKS), (count, 1)),
        appeal=np.tile(appeal, (count, 1)),
        satisfaction=np.tile(satisfaction, (count, 1)),
    )


def likelihoods(users, appeal, satisfaction):
    """Likelihood of each click pattern: the product of what each answer's chance was."""
    chance = click_probability(users, pages(appeal, satisfaction), PATTERNS)
    return np.where(PATTERNS, chance, 1 - chance).prod(axis=1)


def reading(clicks, appeal, stop, perseverance):
    """Sum over how far a reader got: the likelihood of a pattern, from the top down."""
    total = 0.0
    for end in range(1, RANKS + 1):  # the last answer that was looked at
        if any(clicks[end:]):
            continue
        chance = 1.0
        for rank in range(end):
            chance *= appeal[rank] if clicks[rank] else 1 - appeal[rank]
            goes_on = perseverance * (1 - stop[rank] if clicks[rank] else 1.0)
            if rank < end - 1:
                chance *= goes_on
            elif end < RANKS:
                chance *= 1 - goes_on
        total += chance
    return total


@settings(max_examples=50, deadline=None)
@given(appeal=chances, stop=chances, perseverance=st.floats(0.05, 1.0), by_place=st.booleans())
def test_readers_from_the_top_click_as_the_sum_over_all_they_may_have_read(
    appeal, stop, perseverance, by_place
):
    users = ReadFromTop(perseverance=perseverance, stop_by_place=stop if by_place else None)
    slow = [reading(clicks, appeal, stop, perseverance) for clicks in PATTERNS]
    np.testing.assert_allclose(likelihoods(users, appeal, stop), slow, atol=1e-9)
    assert sum(slow) == pytest.approx(1)


@settings(max_examples=50, deadline=None)
@given(appeal=chances, table=tables)
def test_browsers_look_as_their_last_click_and_the_position_say(appeal, table):
    slow = []
    for clicks in PATTERNS:
        chance, last = 1.0, -1
        for rank in range(RANKS):
            click = table[rank, last + 1] * appeal[rank]
            chance *= click if clicks[rank] else 1 - click
            last = rank if clicks[rank] else last
        slow.append(chance)
    users = BrowseFromLastClick(examination=table)
    np.testing.assert_allclose(likelihoods(users, appeal, np.ones(RANKS)), slow, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(appeal=chances, examination=chances)
def test_what_was_clicked_above_does_not_sway_who_looks_by_position(appeal, examination):
    chance = appeal * examination
    slow = np.where(PATTERNS, chance, 1 - chance).prod(axis=1)
    users = LookByPosition(examination=examination)
    np.testing.assert_allclose(likelihoods(users, appeal, np.ones(RANKS)), slow, atol=1e-9)


@settings(max_examples=10, deadline=None)
@given(appeal=chances, stop=chances, perseverance=st.floats(0.1, 1), seed=st.integers(0, 99))
def test_patterns_are_drawn_as_often_as_they_are_likely(appeal, stop, perseverance, seed):
    """20,000 draws: a share has a deviation of at most .0035; six of them are allowed."""
    users, draws = ReadFromTop(perseverance=perseverance), 20_000
    clicked = sample(users, pages(appeal, stop, draws), np.random.default_rng(seed))
    drawn = np.bincount(clicked @ (2 ** np.arange(RANKS)[::-1]), minlength=2**RANKS) / draws
    np.testing.assert_allclose(drawn, likelihoods(users, appeal, stop), atol=6 * 0.0036)


def test_nothing_is_clicked_where_a_page_has_ended():
    layout = Layout(
        place=np.zeros((50, 3), dtype=np.intp),
        appeal=np.ones((50, 3)),
        satisfaction=np.zeros((50, 3)),
        there=np.tile([True, True, False], (50, 1)),
    )
    clicked = sample(ReadFromTop(), layout, np.random.default_rng(0))
    assert clicked[:, :2].all()
    assert not clicked[:, 2].any()
