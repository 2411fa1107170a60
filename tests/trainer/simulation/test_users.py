import numpy as np
import pytest

from desireline.trainer.clickmodels.position_based import PositionBased, PositionBasedConfig
from desireline.trainer.errors import NothingToLearnError
from desireline.trainer.judgments import judge
from desireline.trainer.sessions import to_sessions
from desireline.trainer.simulation.users import SimulationConfig, simulate

QUERIES = [f"Query {number}" for number in range(40)]
DOCUMENTS = [f"d{number}" for number in range(10)]
TRUTH = {query: {DOCUMENTS[number % 10]} for number, query in enumerate(QUERIES)}
CONFIG = SimulationConfig(searches=6_000, shown=10, clients=1_500, bots=2, searches_a_bot=150)


def same_order(queries):
    return dict.fromkeys(queries, DOCUMENTS)


@pytest.fixture(scope="module")
def log():
    return simulate(QUERIES, TRUTH, same_order, CONFIG)


def test_searches_come_by_time_in_bounded_batches(log):
    times = [query.at for query in log.queries()]
    assert times == sorted(times)
    assert len(times) == 6_300
    assert (times[-1] - times[0]).days in range(40, 43)
    assert max(len(batch.queries) for batch in log.batches) <= 5_000


def test_popular_queries_are_typed_more_often_as_zipf_says(log):
    typed = [query.text for query in log.queries() if int(query.client[7:]) < 1_500]
    counts = np.sort(np.unique(typed, return_counts=True)[1])[::-1]
    share = np.arange(1.0, 41) ** -0.8
    np.testing.assert_allclose(counts / 6_000, share / share.sum(), atol=0.015)


def test_clicks_fall_with_the_position_and_rise_with_relevance(log):
    bots = {"client-1500", "client-1501"}
    shown = {query.query_id: query for query in log.queries()}
    clicks = [a for a in log.actions() if a.kind == "click" and a.client not in bots]
    assert len(clicks) == log.clicks
    wrong = [a for a in clicks if a.document_id not in TRUTH[shown[a.query_id].text]]
    assert log.wrong_share == pytest.approx(len(wrong) / len(clicks))
    at = {place: sum(a.position == place for a in wrong) for place in (1, 10)}
    assert at[1] == pytest.approx(6_000 * 0.9 * 0.04, rel=0.3)
    assert at[10] < 0.5 * at[1]


def test_a_bot_is_seen_through_and_people_are_kept(log):
    health = to_sessions(log.batches).health
    assert health.bots["clients"] == 2
    assert health.searches == 6_000
    assert health.tier == 4


def test_the_model_that_users_follow_is_recovered_from_their_log(log):
    judgments = judge(to_sessions(log.batches), PositionBased(PositionBasedConfig(iterations=200)))
    looked = np.arange(1.0, 11) ** -0.6
    np.testing.assert_allclose(list(judgments.examination.values()), looked, atol=0.2)
    right = {(query.lower(), name) for query, names in TRUTH.items() for name in names}
    best = judgments.frame.sort("grade").group_by("query").last()
    hits = sum((q, d) in right for q, d in best.select("query", "document_id").iter_rows())
    assert hits >= 38


def test_the_same_seed_gives_the_same_log_and_another_gives_another(log):
    assert simulate(QUERIES, TRUTH, same_order, CONFIG) == log
    other = simulate(QUERIES, TRUTH, same_order, CONFIG.model_copy(update={"seed": 1}))
    assert other.clicks != log.clicks


def test_queries_without_answers_get_no_clicks():
    silent = simulate(QUERIES, TRUTH, lambda queries: {}, CONFIG)
    assert list(silent.actions()) == []


def test_there_must_be_something_to_type():
    with pytest.raises(NothingToLearnError):
        simulate([], {}, same_order)
