"""Attacks on what is learned, as data in `attacks.json`: how many clicks still teach, and why."""

import importlib.util
import json
from pathlib import Path
from random import Random

import polars as pl
import pytest

from desireline.trainer.sessions import Sessions
from desireline.trainer.trust.belief import Trusted, trust
from desireline.trainer.trust.bursts import BURST
from desireline.trainer.trust.influence import CLIENT, NOT_SHOWN, SUBNET
from desireline.trainer.trust.plausibility import FAR_DOWN, TOO_EAGER

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("attack_log", HERE / "attack_log.py")
assert _spec is not None
assert _spec.loader is not None
told = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(told)

ATTACKS = json.loads((HERE / "attacks.json").read_text())
REASONS = {NOT_SHOWN, CLIENT, SUBNET, BURST, TOO_EAGER, FAR_DOWN}
HONEST_ROWS = pl.col("client").str.starts_with("person")


def tell(attack) -> tuple[Sessions, Trusted]:
    random = Random(5)
    events = list(told.honest(random))
    for wave in attack["attack"]:
        events += told.attacker(wave, random)
    sessions = told.sessions_of(events)
    return sessions, trust(sessions)


def clicks_of_attackers(sessions: Sessions) -> int:
    return sessions.frame.filter("clicked", ~HONEST_ROWS).height


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack["name"].replace(" ", "-"))
def test_an_attack_teaches_no_more_than_told(attack):
    sessions, trusted = tell(attack)
    assert clicks_of_attackers(sessions) == attack["clicks"]
    assert clicks_of_attackers(trusted.sessions) == attack["left"]
    assert set(trusted.left_out) & REASONS == {attack["reason"]} - {None}
    sybils = [name for name in trusted.sessions.doubted if name.startswith("sybil")]
    assert len(sybils) == attack["doubted"]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack["name"].replace(" ", "-"))
def test_an_attack_costs_honest_users_next_to_nothing(attack):
    sessions, trusted = tell(attack)
    before, after = (each.frame.filter(HONEST_ROWS).height for each in (sessions, trusted.sessions))
    assert after >= 0.98 * before
    assert not [name for name in trusted.sessions.doubted if name.startswith("person")]


def test_an_honest_log_is_believed_whole():
    sessions = told.sessions_of(list(told.honest(Random(5))))
    trusted = trust(sessions)
    assert trusted.sessions.frame.equals(sessions.frame)
    assert set(trusted.left_out) <= {"new pairs that wait one window"}


def test_every_attack_is_told_once():
    assert len({attack["name"] for attack in ATTACKS}) == len(ATTACKS)
