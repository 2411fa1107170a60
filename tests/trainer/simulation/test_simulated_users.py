"""What simulated users do beside looking from the top and clicking what is right."""

import hashlib
from collections import Counter, defaultdict
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from desireline.sidecar.demo.ubi_bulk import bulk_lines
from desireline.trainer.simulation.clicks import draw_clicks
from desireline.trainer.simulation.searches import in_haste
from desireline.trainer.simulation.users import SimulationConfig, simulate

QUERIES = [f"query {number}" for number in range(40)]
DOCUMENTS = [f"d{number}" for number in range(10)]
TRUTH = {query: {DOCUMENTS[number % 10]} for number, query in enumerate(QUERIES)}
CONFIG = SimulationConfig(searches=4_000, shown=10, clients=1_000, bots=2, searches_a_bot=100)


def same_order(queries):
    return dict.fromkeys(queries, DOCUMENTS)


def log_of(truth=TRUTH, **users):
    return simulate(QUERIES, truth, same_order, CONFIG.model_copy(update=users))


@pytest.fixture(scope="module")
def plain():
    return log_of()


def pages(grades, count=40_000):
    return np.tile(np.array(grades, dtype=float), (count, 1))


def clicks_of(model, grades, **users):
    config = SimulationConfig(shown=len(grades), click_model=model, **users)
    return draw_clicks(pages(grades), config, np.random.default_rng(3))


def test_a_log_that_earlier_releases_wrote_is_written_again_byte_for_byte():
    queries = [f"Query {number}" for number in range(40)]
    truth = {query: {DOCUMENTS[number % 10]} for number, query in enumerate(queries)}
    config = SimulationConfig(
        searches=6_000, shown=10, clients=1_500, bots=2, searches_a_bot=150, seed=0
    )
    log = simulate(queries, truth, same_order, config)
    lines = b"".join(line for batch in log.batches for line in bulk_lines(batch))
    digest = hashlib.sha256(lines).hexdigest()
    assert digest == "2c92ed42259218825e6b56b03b1f6f1c9af14a32dca166e0a05e1e4c66167ea9"


def test_users_of_the_position_model_look_whatever_they_clicked():
    clicked = clicks_of("pbm", [1, 1, 1], attraction_relevant=0.5, examination_power=1)
    np.testing.assert_allclose(clicked.mean(axis=0), [0.5, 0.25, 1 / 6], atol=0.01)
    assert clicked[clicked[:, 0], 1].mean() == pytest.approx(0.25, abs=0.01)


def test_in_a_cascade_the_first_click_is_the_last():
    clicked = clicks_of("cascade", [1, 0, 1], attraction_relevant=0.5, attraction_other=0.2)
    assert clicked.sum(axis=1).max() == 1
    np.testing.assert_allclose(clicked.mean(axis=0), [0.5, 0.1, 0.2], atol=0.01)


def test_users_of_the_dependent_model_go_on_after_some_clicks():
    clicked = clicks_of("dcm", [1, 1], attraction_relevant=0.5, continuation=0.4)
    assert clicked[clicked[:, 0], 1].mean() == pytest.approx(0.5 * 0.4, abs=0.01)
    assert clicked[~clicked[:, 0], 1].mean() == pytest.approx(0.5, abs=0.01)


def test_users_of_the_bayesian_models_stop_when_satisfied_and_some_lose_patience():
    users = {"attraction_relevant": 0.5, "satisfaction_relevant": 0.6, "perseverance": 0.8}
    simplified = clicks_of("sdbn", [1, 1], **users)
    assert simplified[simplified[:, 0], 1].mean() == pytest.approx(0.5 * 0.4, abs=0.01)
    assert simplified[~simplified[:, 0], 1].mean() == pytest.approx(0.5, abs=0.01)
    dynamic = clicks_of("dbn", [1, 1], **users)
    assert dynamic[dynamic[:, 0], 1].mean() == pytest.approx(0.5 * 0.4 * 0.8, abs=0.01)
    assert dynamic[~dynamic[:, 0], 1].mean() == pytest.approx(0.5 * 0.8, abs=0.01)


def test_users_of_the_browsing_model_look_near_their_last_click():
    clicked = clicks_of("ubm", [1, 0, 1], attraction_relevant=0.5, examination_power=1)
    assert clicked[clicked[:, 0], 2].mean() == pytest.approx(0.5 / 2, abs=0.01)
    nothing = ~clicked[:, 0] & ~clicked[:, 1]
    assert clicked[nothing, 2].mean() == pytest.approx(0.5 / 3, abs=0.01)


@pytest.mark.parametrize("model", ["pbm", "cascade", "dcm", "sdbn", "dbn", "ubm"])
def test_nobody_clicks_where_nothing_is_shown_and_grades_attract_in_between(model):
    clicked = clicks_of(model, [0.5, np.nan], attraction_relevant=0.9, attraction_other=0.1)
    assert not clicked[:, 1].any()
    assert clicked[:, 0].mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("model", ["pbm", "cascade", "dcm", "sdbn", "dbn", "ubm"])
def test_every_click_model_writes_a_whole_log(model):
    log = log_of(click_model=model)
    assert log.clicks > 500
    assert all(action.position <= 10 for action in log.actions())


def test_the_greatest_grade_counts_as_one():
    graded = {query: dict.fromkeys(names, 100.0) for query, names in TRUTH.items()}
    assert log_of(truth=graded) == log_of()


def test_a_bot_clicks_nothing_below_the_end_of_a_short_page():
    short = simulate(QUERIES, TRUTH, lambda queries: dict.fromkeys(queries, DOCUMENTS[:3]), CONFIG)
    assert {action.position for action in short.actions()} <= {1, 2, 3}
    people = [a for a in short.actions() if a.kind == "click" and a.client not in short.truth.bots]
    assert short.clicks == len(people)


def test_right_documents_are_put_into_carts_and_some_are_paid(plain):
    log = log_of(carts=0.5, purchases=0.4)
    assert [a for a in log.actions() if a.kind == "click"] == [
        a for a in plain.actions() if a.kind == "click"
    ]
    texts = {query.query_id: query.text for query in log.queries()}
    kinds = Counter(a.kind for a in log.actions())
    right = sum(
        a.kind == "click" and a.document_id in TRUTH[texts[a.query_id]] for a in log.actions()
    )
    bought = [a for a in log.actions() if a.kind in {"add_to_cart", "purchase"}]
    assert all(a.document_id in TRUTH[texts[a.query_id]] for a in bought)
    assert kinds["add_to_cart"] == pytest.approx(right * 0.5, rel=0.1)
    assert kinds["purchase"] == pytest.approx(kinds["add_to_cart"] * 0.4, rel=0.15)


def dwells(log):
    """Seconds from the last click of each search to the end, by whether it was right."""
    texts = {query.query_id: query.text for query in log.queries()}
    found = defaultdict(list)
    actions = [a for a in log.actions() if a.kind in {"click", "leave"}]
    for action, after in pairwise(actions):
        if action.kind == "click" and after.kind == "leave":
            right = action.document_id in TRUTH[texts[action.query_id]]
            found[right].append((after.at - action.at).total_seconds())
    return np.mean(found[True]) / np.mean(found[False])


def test_time_tells_nothing_unless_it_is_asked_to(plain):
    assert dwells(plain) == pytest.approx(1, abs=0.1)
    assert dwells(log_of(dwell_ratio=3.0)) == pytest.approx(3, abs=0.3)


def test_who_found_nothing_to_click_tries_words_that_share_an_answer(plain):
    log = log_of(reformulations=0.5)
    searches = {query.query_id: query for query in log.queries()}
    clicked = {action.query_id for action in log.actions()}
    assert len(log.truth.reformulations) > 500
    for first, second in log.truth.reformulations:
        assert first not in clicked
        assert searches[first].client == searches[second].client
        assert TRUTH[searches[first].text] == TRUTH[searches[second].text]
        assert searches[first].text != searches[second].text
        apart = searches[second].at - searches[first].at
        assert timedelta(seconds=15) <= apart <= timedelta(seconds=90)
    assert len(searches) == 4_200 + len(log.truth.reformulations)
    assert plain.clicks < log.clicks


def test_what_is_typed_in_haste_finds_nothing_and_is_typed_again():
    log = log_of(zero_results=0.1)
    searches = {query.query_id: query for query in log.queries()}
    assert len(log.truth.zero_results) == pytest.approx(400, rel=0.2)
    for first, second in log.truth.zero_results:
        assert searches[first].shown == ()
        assert searches[first].text not in TRUTH
        assert searches[second].text in TRUTH
        assert searches[first].client == searches[second].client
        assert searches[first].at < searches[second].at
    times = [query.at for query in log.queries()]
    assert times == sorted(times)


def test_what_is_typed_in_haste_is_never_another_query():
    texts = ["aeiou", "makeup", "mkp", "mkpp", "q", "tv"]
    typed = in_haste(texts)
    assert len(typed) == len(texts)
    assert not set(typed) & set(texts)


def test_drifting_queries_have_other_answers_after_the_turn(plain):
    log = log_of(drift=0.3)
    assert plain.truth.turn is None
    assert 4 <= len(log.truth.drifted) <= 20
    query = max(log.truth.drifted, key=lambda each: sum(q.text == each for q in log.queries()))
    before, after = log.truth.relevance[query], log.truth.drifted[query]
    assert before.keys() != after.keys()
    searched = {q.query_id: q for q in log.queries() if q.text == query}
    found = {True: Counter(), False: Counter()}
    for action in log.actions():
        if action.query_id in searched and action.kind == "click":
            late = searched[action.query_id].at >= log.truth.turn
            found[late][action.document_id] += 1
    assert found[False].most_common(1)[0][0] in before
    assert found[True].most_common(1)[0][0] in after


def test_queries_of_a_trend_trade_their_popularity(plain):
    log = log_of(trend=0.5)
    halfway = CONFIG.first_day + timedelta(days=21)

    def counts(of, late):
        return Counter(q.text for q in of.queries() if (q.at >= halfway) == late)

    assert counts(log, late=False) == counts(plain, late=False)
    assert counts(log, late=True) != counts(plain, late=True)
    assert sorted(counts(log, late=True).values()) == sorted(counts(plain, late=True).values())


def test_clients_come_from_networks_and_bots_share_two():
    log = log_of(subnets=300)
    networks = defaultdict(set)
    for query in log.queries():
        networks[query.client].add(query.attributes["subnet"])
    assert all(len(names) == 1 for names in networks.values())
    people = set().union(*(names for c, names in networks.items() if c not in log.truth.bots))
    bots = set().union(*(networks[client] for client in log.truth.bots))
    assert len(people) > 200
    assert len(bots) == 2
    assert not people & bots


@pytest.mark.parametrize("way", ["events", "both"])
def test_impressions_are_told_as_events_where_asked(way, plain):
    log = log_of(impressions=way)
    shown = {query.query_id: query.shown for query in plain.queries()}
    told = defaultdict(list)
    for batch in log.batches:
        for impression in batch.impressions:
            told[impression.query_id].append(impression.document_id)
            assert impression.position == len(told[impression.query_id])
    assert {key: tuple(ids) for key, ids in told.items()} == shown
    assert all(bool(query.shown) == (way == "both") for query in log.queries())
    assert list(log.actions()) == list(plain.actions())
