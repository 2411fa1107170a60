"""What is planted in a log is there, is listed, and leaves the rest alone."""

import string
from collections import Counter

import pytest

from desireline.trainer.simulation.defects import DefectsConfig, plant
from desireline.trainer.simulation.users import SimulationConfig, simulate

QUERIES = [f"query {number}" for number in range(30)]
TRUTH = {query: {f"d{number % 8}"} for number, query in enumerate(QUERIES)}
PAGE = [f"d{number}" for number in range(8)]
CONFIG = SimulationConfig(searches=12_000, shown=8, clients=500, bots=1, searches_a_bot=50)


@pytest.fixture(scope="module")
def log():
    return simulate(QUERIES, TRUTH, lambda queries: dict.fromkeys(queries, PAGE), CONFIG)


def planted(log, **defects):
    return plant(log, DefectsConfig(**defects))


def test_nothing_asked_nothing_changed(log):
    same, found = planted(log, seed=5)
    assert same is log
    assert dict(found.counts) == {}


def test_the_same_seed_plants_the_same_and_another_plants_other(log):
    asked = {"late": 0.1, "duplicates": 0.1, "clock_skew": 0.2, "personal": 20}
    assert planted(log, **asked) == planted(log, **asked)
    assert planted(log, **asked) != planted(log, **asked, seed=1)


def test_late_events_come_in_a_later_batch_and_none_is_lost(log):
    late, found = planted(log, late=0.2)
    assert sorted(a.query_id for a in late.actions()) == sorted(a.query_id for a in log.actions())
    batch_of = {q.query_id: n for n, b in enumerate(late.batches) for q in b.queries}
    moved = sum(
        n > batch_of[action.query_id] for n, b in enumerate(late.batches) for action in b.actions
    )
    assert moved == found.counts["late"] > 100
    assert min(n - batch_of[a.query_id] for n, b in enumerate(late.batches) for a in b.actions) == 0


def test_duplicates_are_the_same_event_again(log):
    twice, found = planted(log, duplicates=0.1)
    for events, before in (
        ([q.query_id for q in twice.queries()], [q.query_id for q in log.queries()]),
        (list(twice.actions()), list(log.actions())),
    ):
        assert Counter(events) - Counter(before)
        assert set(events) == set(before)
    more = len(list(twice.queries())) + len(list(twice.actions()))
    assert more - len(list(log.queries())) - len(list(log.actions())) == found.counts["duplicates"]


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_what_is_missing_is_missing_as_often_as_asked(log, share):
    defects = dict.fromkeys(("missing_shown", "missing_positions", "missing_query_ids"), share)
    lacking, found = planted(log, **defects)
    searches, actions = list(lacking.queries()), list(lacking.actions())
    assert sum(not q.shown for q in searches) == found.counts["missing_shown"]
    assert sum(a.position is None for a in actions) == found.counts["missing_positions"]
    assert sum(not a.query_id for a in actions) == found.counts["missing_query_ids"]
    assert found.counts["missing_shown"] == pytest.approx(share * len(searches), rel=0.2)


def test_a_client_that_is_not_named_is_nowhere_named(log):
    lacking, _ = planted(log, missing_clients=0.3)
    clients = {q.client for q in log.queries()}
    left = {q.client for q in lacking.queries()} | {a.client for a in lacking.actions()}
    assert "" in left
    assert len(clients - left) == pytest.approx(0.3 * len(clients), rel=0.3)


def test_a_wrong_clock_moves_the_events_of_its_client_alike_and_no_search(log):
    skewed, found = planted(log, clock_skew=0.2, clock_skew_s=600)
    assert [q.at for q in skewed.queries()] == [q.at for q in log.queries()]
    moved = {
        (a.client, (a.at - b.at).total_seconds())
        for a, b in zip(skewed.actions(), log.actions(), strict=True)
    }
    by_client = dict(moved)
    assert len(by_client) == len(moved)
    for client, seconds in by_client.items():
        assert seconds == pytest.approx(found.skewed.get(client, 0.0))
        assert abs(seconds) <= 600


def test_personal_data_is_in_the_searches_that_are_listed_and_in_no_other(log):
    personal, found = planted(log, personal=200)
    assert len(found.personal) == 200
    assert len({each.value for each in found.personal}) > 190
    assert {each.kind for each in found.personal} == {
        "e-mail",
        "phone",
        "card",
        "iban",
        "long number",
    }
    texts = {query.query_id: query.text for query in personal.queries()}
    for each in found.personal:
        assert texts.pop(each.query_id).endswith(f" {each.value}")
    assert not any(each.value in text for each in found.personal[:20] for text in texts.values())
    repeated = {a.query_id: a.text for a in personal.actions()}
    listed = {each.query_id: each.value for each in found.personal}
    assert all(listed.get(key, "") in text for key, text in repeated.items())


def luhn(number):
    digits = [int(digit) for digit in number]
    doubled = [d * 2 if (len(digits) - n) % 2 == 0 else d for n, d in enumerate(digits)]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def test_card_numbers_and_ibans_pass_the_checks_of_real_ones(log):
    _, found = planted(log, personal=500)
    by_kind = {}
    for each in found.personal:
        by_kind.setdefault(each.kind, []).append(each.value)
    assert len(by_kind["card"]) == 100
    assert all(luhn(number) for number in by_kind["card"])
    for number in by_kind["iban"]:
        turned = number[4:] + number[:4]
        spelled = "".join(str((string.digits + string.ascii_uppercase).index(c)) for c in turned)
        assert int(spelled) % 97 == 1


def test_a_defect_leaves_what_others_plant_as_it_was(log):
    alone, _ = planted(log, missing_shown=0.2)
    both, _ = planted(log, missing_shown=0.2, missing_positions=0.3)
    assert list(alone.queries()) == list(both.queries())
