"""What an attacker can never do, whatever he sends."""

import importlib.util
from datetime import timedelta
from pathlib import Path
from random import Random

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.trainer.clickmodels.ctr import ClickThroughRate, ClickThroughRateConfig
from desireline.trainer.judgments import judge
from desireline.trainer.sessions import SessionConfig
from desireline.trainer.splits import split_forward
from desireline.trainer.trust.belief import JudgesConfig, may_judge, trust
from desireline.trainer.trust.influence import InfluenceConfig

PATH = Path(__file__).parents[1] / "scenarios" / "attack_log.py"
_spec = importlib.util.spec_from_file_location("attack_log", PATH)
assert _spec is not None
assert _spec.loader is not None
told = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(told)

HONEST = list(told.honest(Random(5)))
LIMITS = InfluenceConfig()
WAVES = st.fixed_dictionaries(
    {
        "clients": st.integers(1, 40),
        "subnets": st.integers(1, 40),
        "searches_a_client": st.integers(1, 12),
        "queries": st.integers(1, 4),
        "from_day": st.integers(0, 20),
        "days": st.integers(1, 7),
        "shown": st.booleans(),
        "place": st.integers(1, 8),
        "clicks": st.sampled_from([0.3, 1.0]),
    }
)


def grade(sessions) -> float:
    strength = ClickThroughRateConfig().prior_strength
    frame = judge(sessions, ClickThroughRate(ClickThroughRateConfig(prior_strength=strength))).frame
    pair = (pl.col("query") == told.TARGET_QUERY) & (pl.col("document_id") == told.TARGET)
    return float(frame.filter(pair).get_column("grade").item())


def rows_of_query(sessions, query):
    return sessions.frame.filter(pl.col("query") == query)


@settings(deadline=None, max_examples=15)
@given(wave=WAVES, seed=st.integers(0, 99))
def test_one_subnet_moves_a_grade_by_its_limit_and_no_more_however_many_clients_it_pays(wave, seed):
    flood = list(told.attacker({**wave, "subnets": 1, "queries": 1}, Random(seed)))
    calm = trust(told.sessions_of(HONEST)).sessions
    flooded = trust(told.sessions_of(HONEST + flood)).sessions
    seen = rows_of_query(calm, told.TARGET_QUERY).get_column("query_id").n_unique()
    limit = max(LIMITS.searches_a_subnet, LIMITS.share_a_subnet * seen)
    sybils = rows_of_query(flooded, told.TARGET_QUERY).filter(
        pl.col("client").str.starts_with("sybil"), "clicked"
    )
    assert sybils.height <= limit
    strength = ClickThroughRateConfig().prior_strength
    furthest = (limit + strength * limit / (seen + limit)) / (seen + limit + strength)
    assert abs(grade(flooded) - grade(calm)) <= furthest + 1e-9


@settings(deadline=None, max_examples=15)
@given(clients=st.integers(1, 6), searches=st.integers(1, 28), seed=st.integers(0, 99))
def test_fewer_clients_than_it_takes_move_no_grade_beyond_their_limits(clients, searches, seed):
    wave = {"clients": clients, "subnets": clients, "searches_a_client": searches, "queries": 1}
    drip = list(told.attacker({**wave, "from_day": 0, "days": 28}, Random(seed)))
    calm = trust(told.sessions_of(HONEST)).sessions
    dripped = trust(told.sessions_of(HONEST + drip)).sessions
    seen = rows_of_query(calm, told.TARGET_QUERY).get_column("query_id").n_unique()
    limit = clients * LIMITS.searches_a_client
    strength = ClickThroughRateConfig().prior_strength
    furthest = (limit + strength * limit / (seen + limit)) / (seen + limit + strength)
    assert grade(dripped) - grade(calm) <= furthest + 1e-9


@settings(deadline=None, max_examples=15)
@given(wave=WAVES, seed=st.integers(0, 99))
def test_attacking_some_queries_changes_nothing_of_what_is_believed_of_others(wave, seed):
    attacked = [f"query {number}" for number in range(wave["queries"])]
    others = ~pl.col("query").is_in(attacked)
    calm = trust(told.sessions_of(HONEST)).sessions
    poisoned = trust(told.sessions_of(HONEST + list(told.attacker(wave, Random(seed))))).sessions
    assert poisoned.frame.filter(others).equals(calm.frame.filter(others))
    assert poisoned.waiting.filter(others).equals(calm.waiting.filter(others))
    people = [name for name in poisoned.doubted if name.startswith("person")]
    clicked_there = HONEST_CLICKERS[tuple(attacked)]
    assert set(people) - set(calm.doubted) <= clicked_there


def _clickers(queries):
    return {query.client for query, actions in HONEST if query.text in queries and actions}


HONEST_CLICKERS = {
    tuple(f"query {n}" for n in range(many)): _clickers({f"query {n}" for n in range(many)})
    for many in range(1, 5)
}


@settings(deadline=None, max_examples=15)
@given(wave=WAVES, seed=st.integers(0, 99))
def test_the_order_of_events_does_not_matter(wave, seed):
    events = HONEST + list(told.attacker(wave, Random(seed)))
    shuffled = list(events)
    Random(seed + 1).shuffle(shuffled)
    first, second = (trust(told.sessions_of(order)) for order in (events, shuffled))
    assert first.left_out == second.left_out
    assert first.sessions.frame.equals(second.sessions.frame)
    assert first.sessions.waiting.equals(second.sessions.waiting)
    assert first.sessions.doubted.equals(second.sessions.doubted)


@settings(deadline=None, max_examples=15)
@given(wave=WAVES, seed=st.integers(0, 99))
def test_who_may_judge_does_not_depend_on_what_was_clicked(wave, seed):
    events = HONEST + list(told.attacker(wave, Random(seed)))
    boundary = told.START + timedelta(days=20)
    every_row = SessionConfig(once_a_day=False)
    with_clicks = told.sessions_of(events, every_row)
    without = told.sessions_of([(query, ()) for query, _ in events], every_row)
    judges = JudgesConfig()
    assert set(may_judge(with_clicks, boundary, judges)) == set(
        may_judge(without, boundary, judges)
    )


@settings(deadline=None, max_examples=15)
@given(wave=WAVES, seed=st.integers(0, 99))
def test_a_split_teaches_no_pair_that_waits_and_lets_no_doubted_client_judge(wave, seed):
    sessions = trust(told.sessions_of(HONEST + list(told.attacker(wave, Random(seed))))).sessions
    split = split_forward(sessions, later_share=0.01, judges=JudgesConfig())
    taught = split.train.frame.filter("clicked").select("query", "document_id")
    pairs = set(taught.iter_rows())
    assert not pairs & set(sessions.waiting.iter_rows())
    for part in (split.held_out, split.returning):
        assert not set(part.frame["client"]) & set(sessions.doubted)
