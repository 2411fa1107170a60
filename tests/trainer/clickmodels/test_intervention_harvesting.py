import numpy as np
import polars as pl
import pytest

from desireline.trainer.clickmodels.click_log import ClickLog
from desireline.trainer.clickmodels.intervention_harvesting import (
    Harvested,
    HarvestingConfig,
    harvest,
)
from desireline.trainer.clickmodels.position_based import PositionBased

EXAMINATION = np.array([1.0, 0.6, 0.4, 0.3, 0.2])


def two_rankings(random, *, queries=150, searches=60, change=0.3):
    """Rank by relevance, as an engine does; a new encoder swaps neighbours here and there."""
    rows = []
    for query in range(queries):
        attraction = np.sort(random.uniform(0.05, 0.9, 5))[::-1]
        rankings = [np.arange(5), np.arange(5)]
        for place in range(4):
            if random.random() < change:
                rankings[1][[place, place + 1]] = rankings[1][[place + 1, place]]
        for ranking in rankings:
            looked = random.random((searches, 5)) < EXAMINATION
            clicked = looked & (random.random((searches, 5)) < attraction[ranking])
            for place, document in enumerate(ranking):
                clicks = int(clicked[:, place].sum())
                rows.append((f"q{query:03}", f"d{document}", place + 1, True, searches, clicks))
    names = ["query", "document_id", "position", "shown", "impressions", "clicks"]
    schema = dict.fromkeys(names)
    schema["position"] = pl.Int32
    return ClickLog.of_counts(pl.DataFrame(rows, schema=schema, orient="row"))


@pytest.fixture(scope="module")
def log():
    return two_rankings(np.random.default_rng(1))


def test_examination_is_harvested_although_good_answers_stand_on_top(log):
    found = harvest(log)
    np.testing.assert_allclose(list(found.examination.values()), EXAMINATION, atol=0.06)
    assert f"{found.clicks:,.0f} clicks" in found.sentence
    naive = log.counts.group_by("position").agg(
        pl.col("clicks").sum() / pl.col("impressions").sum()
    )
    naive = naive.sort("position").get_column("clicks").to_numpy()
    assert np.abs(naive / naive[0] - EXAMINATION).max() > 0.15


def test_the_attraction_under_it_is_the_one_that_users_felt(log):
    found = Harvested().fit(log)
    top = found.attractiveness.group_by("document_id").agg(pl.col("attraction").mean())
    by_rank = top.sort("document_id").get_column("attraction").to_numpy()
    assert (np.diff(by_rank) < 0).all()
    assert found.sentence == harvest(log).sentence


def test_too_few_rank_changes_are_said_and_the_whole_log_is_asked_instead():
    log = two_rankings(np.random.default_rng(1), queries=20, searches=5, change=0.1)
    found = harvest(log)
    assert found.examination == {}
    assert "fewer than the 100" in found.sentence
    fitted = Harvested().fit(log)
    assert fitted.sentence == found.sentence
    assert fitted.examination == PositionBased().fit(log).examination


def test_positions_that_no_rank_change_leads_to_are_left_out(log_of):
    swapped = [("q", "abcd", "a"), ("q", "bacd", "b"), ("r", "abcd", "cd"), ("r", "abdc", "dc")]
    log = log_of(*swapped * 100)
    found = harvest(log, HarvestingConfig(min_clicks=10))
    assert sorted(found.examination) == [1, 2]
    whole = Harvested(HarvestingConfig(min_clicks=10)).fit(log)
    assert sorted(whole.examination) == [1, 2, 3, 4]


def test_every_two_positions_weigh_their_documents_alike():
    """One document with many impressions above and few below must not tilt the comparison.

    Half of the documents attract .8, half .2; the good ones are mostly shown on top.
    """
    rows = [
        ("q", "good", 1, True, 10_000, 8_000),
        ("q", "good", 2, True, 100, 40),
        ("q", "bad", 1, True, 100, 20),
        ("q", "bad", 2, True, 10_000, 1_000),
    ]
    names = ["query", "document_id", "position", "shown", "impressions", "clicks"]
    log = ClickLog.of_counts(pl.DataFrame(rows, schema=names, orient="row"))
    found = harvest(log, HarvestingConfig(min_clicks=1))
    assert found.examination == pytest.approx({1: 1.0, 2: 0.5}, abs=0.01)
