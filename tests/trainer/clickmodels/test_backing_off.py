"""A pair of which little is known is held to be as its like: query, cluster, whole log."""

import numpy as np
import polars as pl
import pytest

from desireline.trainer.clickmodels.backing_off import BackingOff, BackingOffConfig
from desireline.trainer.clickmodels.cascade import Cascade
from desireline.trainer.clickmodels.click_log import ClickLog
from desireline.trainer.clickmodels.dependent import Dependent
from desireline.trainer.clickmodels.dynamic_bayesian import DynamicBayesian
from desireline.trainer.clickmodels.intervention_harvesting import Harvested
from desireline.trainer.clickmodels.position_based import PositionBased
from desireline.trainer.clickmodels.simplified_bayesian import SimplifiedBayesian
from desireline.trainer.clickmodels.user_browsing import UserBrowsing
from desireline.trainer.documents.pair_features import Links, PairFeatures

MODELS = [
    PositionBased,
    Harvested,
    Cascade,
    Dependent,
    SimplifiedBayesian,
    DynamicBayesian,
    UserBrowsing,
]


def features(log):
    """Make "red shoe" and "red shoes" neighbours, and nothing else."""
    return PairFeatures(
        pairs=log.pairs.select("query", "document_id"),
        values=np.zeros((log.pairs.height, 1)),
        neighbours=pl.DataFrame(
            {
                "query": ["red shoe", "red shoes"],
                "neighbour": ["red shoes", "red shoe"],
                "weight": [1.0, 1.0],
            }
        ),
    )


@pytest.fixture(scope="module")
def log(log_of):
    often = [("red shoes", "ab", "b"), ("red shoes", "ba", "b"), ("red shoes", "ab", "")]
    return log_of(*often * 30, ("red shoe", "ab", ""), ("tea", "ab", ""))


def attraction(found):
    rows = found.attractiveness.select("query", "document_id", "attraction").iter_rows()
    return {(query, document): value for query, document, value in rows}


@pytest.mark.parametrize("model", MODELS)
def test_a_rare_query_is_held_to_be_as_its_like(log, model):
    found = attraction(model().fit(log, features(log)))
    like, unlike = (found[query, "b"] / found[query, "a"] for query in ("red shoe", "tea"))
    assert like > 1.5 * unlike
    assert found["red shoe", "b"] > found["tea", "b"]


@pytest.mark.parametrize("model", MODELS)
def test_a_frequent_query_speaks_for_itself(log, model):
    with_like, alone = (attraction(model().fit(log, each)) for each in (features(log), None))
    for document in "ab":
        pair = ("red shoes", document)
        assert with_like[pair] == pytest.approx(alone[pair], abs=0.02)


@pytest.mark.parametrize("model", MODELS)
def test_the_more_is_seen_the_smaller_the_variance(log, model):
    frame = model().fit(log).attractiveness
    by_query = dict(frame.group_by("query").agg(pl.col("variance").min()).iter_rows())
    assert by_query["red shoes"] < 0.3 * by_query["tea"]


def test_the_prior_is_a_weighted_mean_at_every_step():
    links = Links(of=np.array([0]), to=np.array([1]), weight=np.array([0.5]), size=3)
    prior = BackingOff(config=BackingOffConfig(strength=3, cluster_strength=4), links=links)
    hits, looks = np.array([1.0, 6.0, 0.0]), np.array([2.0, 8.0, 9.0])
    usual = (7 + 0.2) / (19 + 1)
    cluster = (0.5 * 6 + 4 * usual) / (0.5 * 8 + 4)
    np.testing.assert_allclose(prior.mean(hits, looks), [cluster, usual, usual])
    np.testing.assert_allclose(
        prior.shrink(hits, looks),
        [(1 + 3 * cluster) / 5, (6 + 3 * usual) / 11, 3 * usual / 12],
    )


def test_without_clicks_of_its_own_a_pair_is_held_to_be_as_others_of_its_rank(log_of):
    """The engine is right: what stands first is clicked by half of the users, the rest by none."""
    views = [(f"q{n}", [f"{n}a", f"{n}b"], [f"{n}a"] * (n % 2)) for n in range(120)]
    log = log_of(*views, ("new", "xy", ""))
    found = attraction(Dependent().fit(log))
    assert found["new", "x"] > 1.5 * found["new", "y"]
    prior = BackingOff.of(log, None, BackingOffConfig(rank_strength=10, strength=1))
    hits, looks = log.arrays.by_pair(log.arrays.clicks), log.arrays.seen_by_pair
    usual = (60 + 0.2) / (242 + 1)
    first = log.pairs.get_column("document_id").str.ends_with("a").to_numpy()
    first |= (log.pairs.get_column("document_id") == "x").to_numpy()
    expected = np.where(first, (60 + 10 * usual) / (121 + 10), 10 * usual / (121 + 10))
    np.testing.assert_allclose(prior.mean(hits, looks), expected)
    flat = BackingOff.of(log, None, BackingOffConfig(mean=0.3))
    assert set(flat.mean(hits, looks).tolist()) == {0.3}


def test_a_pair_nobody_has_met_has_the_usual_attraction(log, log_of):
    found = PositionBased().fit(log)
    unknown = log_of(("coffee", "z", ""))
    assert found.click_probability(unknown)[0, 0] == pytest.approx(found.usual)
    assert isinstance(found.perplexity(unknown), float)


def test_an_empty_log_is_no_error():
    empty = ClickLog(
        pl.DataFrame(
            schema=["view", "query", "document_id", "position", "shown", "clicked", "share"]
        )
    )
    for model in MODELS:
        found = model().fit(empty, None)
        assert found.attractiveness.is_empty()
        assert found.perplexity(empty) == 1.0
