import random

import polars as pl
import pytest

from desireline.connectors.events import Query
from desireline.trainer.logs.bots import (
    CLOCKWORK,
    NO_DWELL,
    ONE_DOCUMENT,
    TOO_BROAD,
    TOO_MANY,
    BotConfig,
    bot_clients,
)
from desireline.trainer.logs.frames import gather
from desireline.trainer.logs.subnets import subnet_of
from desireline.trainer.sessions import to_sessions

HOUR = 3600.0


@pytest.fixture
def people(log):
    """Thirty people with a few searches each, at any time."""
    drawn = random.Random(1)
    for client in range(30):
        for _ in range(4):
            log.search(
                f"query {drawn.randrange(9)}",
                clicks=drawn.choice("abc"),
                client=f"person{client}",
                after_s=drawn.uniform(0, 20 * HOUR),
            )
    return log


def found(log, config=None) -> dict[str, str]:
    frames = gather(log.batches())
    bots = bot_clients(frames.queries, frames.actions, config or BotConfig())
    return dict(bots.iter_rows())


def test_people_are_no_bots(people):
    assert found(people) == {}


def test_a_client_is_left_out_for_more_than_a_person_does(people):
    for number in range(200):
        people.search(f"query {number % 3}", client="bot", after_s=number * 61 + number % 7)
    assert found(people) == {"bot": TOO_MANY}


def test_a_client_is_left_out_for_more_queries_than_a_person_types(people):
    for number in range(80):
        people.search(f"word {number}", client="bot", after_s=number**1.9)
    assert found(people) == {"bot": TOO_BROAD}


@pytest.mark.parametrize(
    ("jitter_s", "verdict"), [(0.0, CLOCKWORK), (5.0, CLOCKWORK), (60.0, None)]
)
def test_a_client_is_left_out_for_pauses_that_hardly_differ(people, jitter_s, verdict):
    drawn = random.Random(2)
    for number in range(30):
        people.search(
            f"query {number % 3}", client="robot", after_s=number * 90 + drawn.uniform(0, jitter_s)
        )
    assert found(people) == ({"robot": verdict} if verdict else {})


def test_a_client_is_left_out_for_never_staying_on_what_it_opens(people):
    drawn = random.Random(3)
    for number in range(25):
        at = number * 200 + drawn.uniform(0, 180)
        query_id = people.search(f"query {number % 3}", client="hasty", after_s=at)
        people.act(query_id, drawn.choice("abc"), client="hasty", after_s=at + 1)
        people.search(f"query {number % 2}", client="hasty", after_s=at + 1.4)
    assert found(people) == {"hasty": NO_DWELL}


def test_a_log_whose_clock_counts_minutes_makes_nobody_hasty(people):
    drawn = random.Random(3)
    for number in range(25):
        minute = 60.0 * drawn.randrange(1000)
        query_id = people.search(f"query {number % 3}", client="ann", after_s=minute)
        people.act(query_id, drawn.choice("abc"), client="ann", after_s=minute)
    assert found(people) == {}


@pytest.mark.parametrize(("queries", "verdict"), [(8, ONE_DOCUMENT), (1, None)])
def test_a_client_is_left_out_for_clicking_one_document_whatever_it_searches(
    people, queries, verdict
):
    drawn = random.Random(4)
    for number in range(24):
        at = drawn.uniform(0, 20 * HOUR)
        people.search(f"wish {number % queries}", clicks="c", client="fan", after_s=at)
    assert found(people) == ({"fan": verdict} if verdict else {})


def test_clients_without_a_name_and_logs_of_a_handful_are_left_alone(people, log):
    for number in range(300):
        log.search(f"word {number}", client="", after_s=number)
    assert found(people) == {}
    assert found(people, BotConfig(min_clients=100, floor_a_day=1)) == {}


def test_the_health_report_counts_the_clients_of_each_reason(people):
    for number in range(200):
        people.search(f"query {number % 3}", client="bot", after_s=number * 61 + number % 7)
    assert to_sessions(people.batches()).health.left_out == {f"clients: {TOO_MANY}": 1}


@pytest.mark.parametrize(
    ("attributes", "subnet"),
    [
        ({}, ""),
        ({"subnet": "a1b2"}, "a1b2"),
        ({"subnet": "a1b2", "ip": "198.51.100.7"}, "a1b2"),
        ({"ip": "198.51.100.7"}, "198.51.100.0/24"),
        ({"client_ip": " 2001:db8:1:2::7 "}, "2001:db8:1::/48"),
        ({"ip": "unknown", "remote_addr": "203.0.113.9"}, "203.0.113.0/24"),
    ],
)
def test_an_address_becomes_its_network(attributes, subnet):
    assert subnet_of(attributes) == subnet


def test_a_session_knows_its_subnet(log):
    log.search(clicks="a")
    (query,) = log.queries
    log.queries = [
        Query(
            query_id=query.query_id,
            text=query.text,
            at=query.at,
            client=query.client,
            shown=query.shown,
            attributes={"ip": "198.51.100.7"},
        )
    ]
    assert to_sessions(log.batches()).frame.select(pl.col("subnet").unique()).item() == (
        "198.51.100.0/24"
    )
