"""The label model finds again the accuracies from which votes were sampled."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.trainer.label_model import combine

SOURCES = ("a", "b", "c", "d", "e")


def sampled(seed, items=4000):
    """Draw labels, and votes of sources that err with an accuracy of their own."""
    random = np.random.default_rng(seed)
    accuracy = random.uniform(0.6, 0.95, len(SOURCES))
    says = random.random((items, len(SOURCES))) < random.uniform(0.4, 0.9, len(SOURCES))
    label = random.random(items) < random.uniform(0.3, 0.7)
    is_right = random.random((items, len(SOURCES))) < accuracy
    votes = np.where(is_right == label[:, None], 1, -1) * says
    return votes.astype(np.int8), label, accuracy


@settings(max_examples=15, derandomize=True)
@given(st.integers(0, 10_000))
def test_accuracies_are_recovered_from_the_votes_they_made(seed):
    votes, _, accuracy = sampled(seed)
    found = combine(votes, SOURCES)
    learned = np.array([found.sources[name].accuracy for name in SOURCES])
    assert np.abs(learned - accuracy).max() < 0.08


def test_weighing_by_accuracy_beats_counting_heads():
    gained = []
    for seed in range(100):
        votes, label, _ = sampled(seed)
        weighed = ((combine(votes, SOURCES).right > 0.5) == label).mean()
        gained.append(weighed - ((votes.sum(axis=1) > 0) == label).mean())
    # Where sources hardly differ there is nothing to weigh, and chance decides.
    assert np.quantile(gained, 0.05) > -0.005
    assert np.mean(gained) > 0.02


def test_what_it_is_sure_of_is_right_as_often_as_it_says():
    gaps = []
    for seed in range(100):
        votes, label, _ = sampled(seed)
        right = combine(votes, SOURCES).right
        for low in (0.1, 0.3, 0.5, 0.7, 0.9):
            of_band = (right >= low - 0.1) & (right < low + 0.1)
            if of_band.sum() > 200:
                gaps.append(abs(label[of_band].mean() - right[of_band].mean()))
    assert np.median(gaps) < 0.03
    assert np.quantile(gaps, 0.95) < 0.12


@settings(max_examples=15, derandomize=True)
@given(st.integers(0, 10_000))
def test_a_lone_source_is_judged_by_what_was_known_before_it(seed):
    random = np.random.default_rng(seed)
    accuracy = random.uniform(0.6, 0.95)
    prior = random.choice([0.1, 0.4, 0.9], 4000)
    label = random.random(4000) < prior
    vote = np.where((random.random(4000) < accuracy) == label, 1, -1).astype(np.int8)
    found = combine(vote[:, None], ["a"], prior).sources["a"]
    assert found.accuracy == pytest.approx(accuracy, abs=0.05)
    assert found.votes == 4000


@settings(max_examples=15, derandomize=True)
@given(st.integers(0, 10_000))
def test_a_source_that_only_says_right_is_weighed_by_how_often_it_says_so_of_wrong_items(seed):
    random = np.random.default_rng(seed)
    prior = random.choice([0.02, 0.3, 0.9], 20_000)
    label = random.random(20_000) < prior
    says, lies = random.uniform(0.2, 0.6), random.uniform(0.01, 0.2)
    vote = (random.random(20_000) < np.where(label, says, lies)).astype(np.int8)
    found = combine(vote[:, None], ["a"], prior)
    assert found.sources["a"].likelihood_ratio == pytest.approx(says / lies, rel=0.25)
    assert found.sources["a"].accuracy == pytest.approx(label[vote > 0].mean(), abs=0.05)


def test_a_source_that_votes_at_random_changes_little():
    random = np.random.default_rng(1)
    prior = random.choice([0.1, 0.9], 20_000)
    vote = (random.random((20_000, 1)) < 0.5).astype(np.int8)
    assert np.abs(combine(vote, ["a"], prior).right - prior).max() < 0.05


def test_a_source_without_votes_keeps_what_is_usual():
    found = combine(np.zeros((50, 2), dtype=np.int8), ["a", "b"], np.full(50, 0.3))
    assert found.sources["a"].accuracy == pytest.approx(0.7)
    assert found.sources["a"].votes == 0


def test_no_vote_leaves_the_prior_as_it_was():
    prior = np.array([0.2, 0.8])
    found = combine(np.zeros((2, 1), dtype=np.int8), ["a"], prior)
    assert found.right == pytest.approx(prior)
    assert combine(np.zeros((0, 1), dtype=np.int8), ["a"]).right.size == 0
