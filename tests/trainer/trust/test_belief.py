import math
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from desireline.trainer.sessions import to_sessions
from desireline.trainer.splits import split_forward
from desireline.trainer.trust.belief import (
    DOUBTED,
    NEW,
    JudgesConfig,
    TrustConfig,
    may_judge,
    trust,
)
from desireline.trainer.trust.bursts import BURST, BurstConfig, find_bursts, window_of
from desireline.trainer.trust.influence import SUBNET, InfluenceConfig, limit_influence

DAY = 86_400.0


def day(log, number, clicks, *, of=10, text="coffee", client="c", document="c"):
    """Let `of` clients search on a day, so many of whom click."""
    for n in range(of):
        log.search(
            text,
            clicks=document if n < clicks else "",
            client=f"{client}{number}-{n}",
            after_s=number * DAY + n * 60,
        )


def bursts(log, config=None):
    rows = to_sessions(log.batches()).frame
    first = rows.select(window_of(DAY).min()).item()
    found = find_bursts(rows, DAY, config or BurstConfig())
    return [(query, document, window - first) for query, document, window in found.iter_rows()]


def test_a_day_that_is_clicked_as_never_before_is_a_burst(log):
    for number in range(20):
        day(log, number, clicks=15 if number == 15 else number % 2, of=20)
    assert bursts(log) == [("coffee", "c", 15)]


def test_a_query_that_becomes_popular_is_no_burst(log):
    for number in range(20):
        day(log, number, clicks=20 if number == 15 else 2, of=100 if number == 15 else 10)
    assert bursts(log) == []


def test_a_rise_that_others_carry_on_is_released_the_day_after(log):
    for number in range(15):
        day(log, number, clicks=number % 2, of=20)
    day(log, 15, clicks=15, of=20)
    assert bursts(log) == [("coffee", "c", 15)]
    day(log, 16, clicks=15, of=20)
    assert bursts(log) == [("coffee", "c", 16)]


def test_the_same_clients_cannot_release_their_own_burst(log):
    for number in range(15):
        day(log, number, clicks=number % 2, of=20)
    for number in (15, 16):
        for n in range(20):
            log.search("coffee", clicks="c", client=f"gang-{n}", after_s=number * DAY + 3600 + n)
    assert bursts(log) == [("coffee", "c", 15), ("coffee", "c", 16)]


def test_a_burst_is_left_out_with_its_skips_and_its_clients_do_not_judge(log):
    for number in range(20):
        day(log, number, clicks=15 if number == 15 else number % 2, of=20)
    sessions = to_sessions(log.batches())
    trusted = trust(sessions)
    assert trusted.left_out[BURST] == 15
    assert trusted.left_out[DOUBTED] == 15
    assert sessions.frame.height - trusted.sessions.frame.height == 20
    assert f"15 {BURST}" in trusted.sentence
    assert trusted.sessions.health.left_out[BURST] == 15


def exact_tail(clicks, shape, expected):
    """P(at least so many) of the negative binomial with this shape and mean, term by term."""
    stays = expected / (expected + shape)
    below = sum(
        math.exp(
            math.lgamma(n + shape)
            - math.lgamma(shape)
            - math.lgamma(n + 1)
            + shape * math.log1p(-stays)
            + n * math.log(stays)
        )
        for n in range(clicks)
    )
    return 1 - below


@pytest.mark.parametrize("before", [0, 1, 5, 30])
def test_no_burst_is_found_that_the_exact_tail_does_not_find(log, before):
    config = BurstConfig()
    for number in range(10):
        day(log, number, clicks=before // 10 + (number < before % 10), of=10)
    for clicks in range(5, 41):
        log.queries, log.actions = log.queries[:100], log.actions[:before]
        day(log, 12, clicks=clicks, of=40)
        look = 1 / math.sqrt(3)
        shape = config.usual_rate * config.usual_looks + before
        expected = shape / (config.usual_looks + 100 * look) * 40 * look
        if ("coffee", "c", 12) in bursts(log):
            assert exact_tail(clicks, shape, expected) <= config.false_discoveries / 33


def test_limits_are_those_of_a_slow_count(log):
    config = InfluenceConfig(searches_a_client=2, only_shown=False)
    for number in range(60):
        log.search(
            f"query {number % 3}", clicks="c", client=f"c{number % 7}", after_s=number * 0.3 * DAY
        )
    rows = to_sessions(log.batches()).frame.with_columns(left_out=pl.lit(None, dtype=pl.String))
    limited = limit_influence(rows, config)
    believed: Counter[tuple[str, str]] = Counter()
    documents: dict[str, set[str]] = {}
    expected = set()
    searches = rows.select("at", "query_id", "query", "client").unique().sort("at", "query_id")
    for _, query_id, query, client in searches.iter_rows():
        believed[client, query] += 1
        if believed[client, query] > config.searches_a_client:
            expected.add((query_id, None))
            continue
        known = documents.setdefault(client, set())
        if query in known or len(known) < config.queries_a_client:
            known.add(query)
        else:
            expected.add((query_id, "c"))
    left_out = limited.filter(pl.col("left_out").is_not_null())
    whole = {query_id for query_id, document in expected if document is None}
    found = {
        (query_id, None if query_id in whole else document)
        for query_id, document in left_out.select("query_id", "document_id").iter_rows()
    }
    assert found == expected


def test_a_new_pair_waits_one_window_and_then_teaches(log):
    for number in range(10):
        day(log, number, clicks=1, document="a")
    day(log, 10, clicks=1, document="b")
    sessions = trust(to_sessions(log.batches())).sessions
    assert sessions.waiting.rows() == [("coffee", "b")]
    assert "b" not in set(split_forward(sessions, later_share=0.001).train.frame["document_id"])
    day(log, 11, clicks=1, document="a")
    trusted = trust(to_sessions(log.batches()))
    assert NEW not in trusted.left_out
    assert trusted.sessions.waiting.is_empty()


def test_a_target_may_choose_not_to_let_new_pairs_wait(log):
    day(log, 0, clicks=1)
    assert trust(to_sessions(log.batches()), TrustConfig(wait=False)).left_out == {}


def test_only_clients_seen_before_may_judge_unless_newcomers_are_usual(log):
    for number in range(10):
        for client in range(6):
            log.search(client=f"known-{client}", after_s=number * DAY + client)
    for client in range(4):
        log.search(client=f"new-{client}", after_s=9 * DAY + 3600 + client)
    sessions = to_sessions(log.batches())
    boundary = sessions.frame["at"].min() + timedelta(days=8, hours=12)
    judging = sessions.frame.filter(
        pl.col("query_id").is_in(may_judge(sessions, boundary, JudgesConfig()).implode())
    )
    assert set(judging["client"]) == {f"known-{client}" for client in range(6)}
    for client in range(9):
        log.search(client=f"newer-{client}", after_s=9 * DAY + 7200 + client)
    sessions = to_sessions(log.batches())
    assert len(may_judge(sessions, boundary, JudgesConfig())) == 19


def test_one_client_judges_by_so_many_searches_and_no_more(log):
    log.search("first", client="busy")
    for number in range(30):
        log.search(f"query {number}", client="busy", after_s=DAY + number * 60)
    sessions = to_sessions(log.batches())
    boundary = sessions.frame["at"].min() + timedelta(hours=12)
    assert len(may_judge(sessions, boundary, JudgesConfig(searches_a_client=20))) == 20


def test_an_empty_log_is_trusted_whole():
    trusted = trust(to_sessions([]))
    assert trusted.sentence == "there are no clicks yet"
    assert trusted.sessions.frame.is_empty()


@pytest.mark.parametrize(("subnets", "left_out"), [(1, 0), (2, 0), (40, 38)])
def test_a_subnet_has_limits_only_where_subnets_tell_people_apart(log, subnets, left_out):
    """Forty people type the same words; in a company they all come from one or two networks."""
    for client in range(40):
        log.search(clicks="a", client=f"person-{client}", after_s=client * 900)
    for other in range(40):
        log.search(f"query {other}", client=f"other-{other}", after_s=other * 900)
    networks = {
        f"person-{n}": "office" if subnets == 40 else f"office-{n % subnets}" for n in range(40)
    }
    networks |= {f"other-{n}": f"home-{n % subnets}" for n in range(40)}
    log.queries = [
        replace(query, attributes={"subnet": networks[query.client]}) for query in log.queries
    ]
    assert trust(to_sessions(log.batches())).left_out.get(SUBNET, 0) == left_out
