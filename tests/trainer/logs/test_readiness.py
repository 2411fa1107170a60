import pytest
from hypothesis import given
from hypothesis import strategies as st

from desireline.trainer.logs.readiness import HIGHEST, Facts, readiness

SHARES = st.floats(0, 1) | st.sampled_from([0.2, 0.5])
FACTS = st.builds(
    Facts,
    clicks=st.integers(0, 3),
    placed=SHARES,
    named=SHARES,
    with_dwell=SHARES,
    clients=st.integers(0, 4),
    days=st.integers(0, 9),
)
COMPLETE = {
    "clicks": 10,
    "placed": 1.0,
    "named": 1.0,
    "with_dwell": 0.5,
    "clients": 9,
    "days": 30,
}


def tier_of(facts: Facts) -> int:
    """Say the rule again in plain words."""
    if facts.clicks == 0:
        return 0
    if facts.placed < 0.5:
        return 1
    if facts.named < 0.5 or facts.clients < 2 or facts.days < 7:
        return 2
    return 4 if facts.with_dwell > 0.2 else 3


@given(FACTS)
def test_a_tier_is_reached_when_its_needs_and_all_before_are_met(facts):
    found = readiness(facts)
    assert found.tier == tier_of(facts)
    assert [tier.number for tier in found.tiers] == list(range(HIGHEST + 1))
    assert [tier.reached for tier in found.tiers] == [n <= found.tier for n in range(HIGHEST + 1)]


@given(FACTS)
def test_the_next_step_names_all_that_is_missing_and_nothing_else(facts):
    found = readiness(facts)
    if found.tier == HIGHEST:
        assert found.next_step == "nothing is missing"
        return
    for need in found.tiers[found.tier + 1].needs:
        assert (need.mend in found.next_step) == (not need.met)


@pytest.mark.parametrize(
    ("lacking", "tier", "mend"),
    [
        ({"clicks": 0}, 0, "log clicks with the query_id"),
        ({"placed": 0.4}, 1, "query_response_hit_ids"),
        ({"named": 0.1}, 2, "client_id"),
        ({"clients": 1}, 2, "an id of its own"),
        ({"days": 6}, 2, "7 days or more"),
        ({"with_dwell": 0.2}, 3, "dwell times"),
        ({}, 4, "nothing is missing"),
    ],
)
def test_what_is_missing_sets_the_tier_and_is_named(lacking, tier, mend):
    found = readiness(Facts(**COMPLETE | lacking))
    assert found.tier == tier
    assert mend in found.next_step


def test_each_tier_says_what_it_unlocks_and_a_log_without_clicks_still_teaches():
    tiers = readiness(Facts(**COMPLETE | {"clicks": 0})).tiers
    assert all(tier.unlocks.endswith(".") for tier in tiers)
    assert tiers[0].reached
    assert "without a click" in tiers[0].unlocks
    assert "self-supervised" in tiers[0].unlocks
