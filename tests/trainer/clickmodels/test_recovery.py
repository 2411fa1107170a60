"""Each model recovers its parameters from users that it sampled itself.

Every log has 4,500 pages of 5 documents in a new order each time, so that each of the 15 pairs
stands 1,500 times somewhere. A share estimated from n looks has a deviation of at most .5 / root n;
`within` allows five of them for the looks that the pair is expected to get, and a little for what
other parameters are estimated beside it.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from desireline.trainer.clickmodels.backing_off import BackingOffConfig
from desireline.trainer.clickmodels.cascade import Cascade, CascadeConfig
from desireline.trainer.clickmodels.ctr import ClickThroughRate, ClickThroughRateConfig
from desireline.trainer.clickmodels.dependent import Dependent, DependentConfig
from desireline.trainer.clickmodels.dynamic_bayesian import DynamicBayesian, DynamicBayesianConfig
from desireline.trainer.clickmodels.intervention_harvesting import Harvested, HarvestingConfig
from desireline.trainer.clickmodels.position_based import PositionBased, PositionBasedConfig
from desireline.trainer.clickmodels.simplified_bayesian import (
    SimplifiedBayesian,
    SimplifiedBayesianConfig,
)
from desireline.trainer.clickmodels.user_browsing import UserBrowsing, UserBrowsingConfig
from desireline.trainer.clickmodels.users import (
    BrowseFromLastClick,
    LookByPosition,
    ReadFromTop,
)

PAIRS, PLACES, TIMES = 15, 5, 1_500
FLAT = BackingOffConfig(strength=1e-6)
EXAMPLES = settings(
    max_examples=5,
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # to shrink a log of users is slow and tells nothing
    suppress_health_check=[HealthCheck.too_slow],
)

attractions = st.lists(st.floats(0.15, 0.8), min_size=PAIRS, max_size=PAIRS).map(np.array)
satisfactions = st.lists(st.floats(0.15, 0.8), min_size=PAIRS, max_size=PAIRS).map(np.array)
stops = st.lists(st.floats(0.1, 0.7), min_size=PLACES, max_size=PLACES).map(np.array)
# The top is always looked at; the rest less and less.
examinations = st.lists(st.floats(0.65, 1.0), min_size=PLACES - 1, max_size=PLACES - 1).map(
    lambda steps: np.cumprod([1.0, *steps])
)
seeds = st.integers(0, 2**32 - 1)


def within(looks):
    return 5 * 0.5 / np.sqrt(looks) + 0.02


@pytest.fixture(scope="session")
def sampled(show, known):
    """Let users of known numbers click on pages nobody has clicked yet."""

    def draw(users, seed, attraction, satisfaction=None):
        random = np.random.default_rng(seed)
        log = show(random, documents=PLACES, searches=TIMES)
        return known(log, users, attraction, satisfaction).sample(log, random)

    return draw


def column(found, name):
    return found.attractiveness.get_column(name).to_numpy()


def assert_close(found, truth, looks):
    assert (np.abs(found - truth) <= within(looks)).all(), (found, truth)


def assert_satisfaction(found, truth, perseverance):
    """Satisfaction is only seen by whether another click follows, which is rarer than that.

    Of the clicks, four fifths had an answer below; an unsatisfied user clicks the next with the
    mean attraction times the perseverance, so the deviation is that of a share over it.
    """
    clicks = column(found, "clicks") * 0.8
    seen = perseverance * column(found, "attraction").mean()
    error = (column(found, "satisfaction") - truth) / (0.5 / np.sqrt(clicks) / seen)
    assert (np.abs(error) < 5).all(), error


@EXAMPLES
@given(attraction=attractions, seed=seeds)
def test_click_through(sampled, attraction, seed):
    log = sampled(LookByPosition(examination=np.ones(PLACES)), seed, attraction)
    found = ClickThroughRate(ClickThroughRateConfig(prior_strength=1e-6)).fit(log)
    assert_close(column(found, "attraction"), attraction, TIMES)


@EXAMPLES
@given(attraction=attractions, examination=examinations, seed=seeds)
def test_position_based(sampled, attraction, examination, seed):
    log = sampled(LookByPosition(examination=examination), seed, attraction)
    found = PositionBased(PositionBasedConfig(prior_strength=1e-6, iterations=300)).fit(log)
    assert_close(column(found, "attraction"), attraction, TIMES * examination.mean())
    np.testing.assert_allclose(found.users.examination, examination, atol=0.06)


@EXAMPLES
@given(attraction=attractions, examination=examinations, seed=seeds)
def test_position_based_by_rank_changes(sampled, attraction, examination, seed):
    log = sampled(LookByPosition(examination=examination), seed, attraction)
    found = Harvested(HarvestingConfig(prior=FLAT, iterations=300)).fit(log)
    assert_close(column(found, "attraction"), attraction, TIMES * examination.mean())
    np.testing.assert_allclose(found.users.examination, examination, atol=0.06)


@EXAMPLES
@given(attraction=attractions, seed=seeds)
def test_cascade(sampled, attraction, seed):
    log = sampled(ReadFromTop(), seed, attraction)
    found = Cascade(CascadeConfig(prior=FLAT)).fit(log)
    assert_close(column(found, "attraction"), attraction, TIMES * 0.3)
    skips = (1 - attraction).reshape(3, PLACES).mean(axis=1)
    reached = np.mean(skips[:, None] ** np.arange(PLACES), axis=0)
    np.testing.assert_allclose(list(found.examination.values()), reached, atol=0.08)


@EXAMPLES
@given(attraction=attractions, stop=stops, seed=seeds)
def test_dependent(sampled, attraction, stop, seed):
    log = sampled(ReadFromTop(stop_by_place=stop), seed, attraction)
    found = Dependent(DependentConfig(prior=FLAT, iterations=200)).fit(log)
    assert_close(column(found, "attraction"), attraction, TIMES * 0.4)
    # Below the last position there is nothing to see, and below the last but one not much.
    np.testing.assert_allclose(found.users.stop_by_place[:-2], stop[:-2], atol=0.12)


@EXAMPLES
@given(attraction=attractions, satisfaction=satisfactions, seed=seeds)
def test_simplified_bayesian(sampled, attraction, satisfaction, seed):
    log = sampled(ReadFromTop(), seed, attraction, satisfaction)
    found = SimplifiedBayesian(
        SimplifiedBayesianConfig(prior=FLAT, satisfaction_strength=1e-6, iterations=200)
    ).fit(log)
    assert_close(column(found, "attraction"), attraction, TIMES * 0.4)
    assert_satisfaction(found, satisfaction, 1.0)


@EXAMPLES
@given(
    attraction=attractions,
    satisfaction=satisfactions,
    perseverance=st.floats(0.6, 0.98),
    seed=seeds,
)
def test_dynamic_bayesian(sampled, attraction, satisfaction, perseverance, seed):
    users = ReadFromTop(perseverance=perseverance)
    log = sampled(users, seed, attraction, satisfaction)
    found = DynamicBayesian(
        DynamicBayesianConfig(prior=FLAT, satisfaction_strength=1e-6, iterations=300)
    ).fit(log)
    assert_close(column(found, "attraction"), attraction, TIMES * 0.3)
    assert found.users.perseverance == pytest.approx(perseverance, abs=0.08)
    assert_satisfaction(found, satisfaction, perseverance)


@EXAMPLES
@given(
    attraction=attractions,
    by_position=examinations,
    by_distance=st.floats(0.6, 1.0),
    seed=seeds,
)
def test_user_browsing(sampled, attraction, by_position, by_distance, seed):
    place, last = np.indices((PLACES, PLACES + 1))
    since = np.where(last > 0, place - (last - 1), 0)
    table = by_position[:, None] * by_distance ** np.maximum(since, 0)
    log = sampled(BrowseFromLastClick(examination=table), seed, attraction)
    found = UserBrowsing(UserBrowsingConfig(prior=FLAT, iterations=300)).fit(log)
    assert_close(column(found, "attraction"), attraction, TIMES * table[:, 0].mean())
    possible = last <= place
    error = (found.users.examination - table)[possible]
    assert np.sqrt((error**2).mean()) < 0.08
