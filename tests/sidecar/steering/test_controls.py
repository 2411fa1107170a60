"""Invariants 12 and 35: the operator's wishes are idempotent, kept, and meant for one run."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desireline.connectors.errors import StateConflictError
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.steering.controls import CONTROL, Control, ControlError, Controls, Wish

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
RATES = st.one_of(st.none(), st.sampled_from([0.5, 1.0, 250.0]))
ASKED = st.tuples(st.sampled_from(list(Wish)), RATES)
#: Which field each wish writes; wishes for different fields do not disturb each other.
FIELD = {
    Wish.PAUSE: "paused",
    Wish.RESUME: "paused",
    Wish.THROTTLE: "documents_a_second",
    Wish.POSTPONE: "postponed",
    Wish.CUT_OVER: "postponed",
    Wish.CANCEL: "cancelled",
}


class Interrupted(MemoryStore):
    """A store in which somebody else writes between our read and our write, once."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile = None

    def put(self, kind, key, body, *, expected):
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().put(kind, key, body, expected=expected)


def controls(store=None, **keys) -> Controls:
    store = MemoryStore() if store is None else store
    return Controls(store, "products", clock=lambda: NOON, **keys)


def ask(found: Controls, asked, by: str = "ada"):
    wish, rate = asked
    return found.ask(wish, by=by, documents_a_second=rate)


def wishes(control: Control) -> dict:
    return control.model_dump(exclude={"marks"})


def test_without_a_word_a_run_goes_at_full_speed() -> None:
    assert controls().read() == Control()


def test_a_pause_is_answered_and_a_second_one_tells_who_was_first() -> None:
    found = controls()
    first = found.pause(by="ada")
    second = found.pause(by="bob")
    assert first.changed
    assert first.sentence == "products is paused: no further batch is written until resume"
    assert not second.changed
    expected = "products was paused already, by ada at 2026-11-21 12:00:00 UTC"
    assert second.sentence == found.pause(by="cid").sentence == expected
    assert found.why_paused() == "paused by ada at 2026-11-21 12:00:00 UTC"
    assert "it was paused by ada" in found.resume(by="bob").sentence
    assert found.resume(by="bob").sentence == "products was not paused"
    assert found.why_paused() == ""


def test_a_throttle_tells_what_was_before() -> None:
    found = controls()
    assert "to 250 documents a second; before it was no limit" in (
        found.throttle(250, by="ada").sentence
    )
    assert "was throttled to 250 documents a second already" in (
        found.throttle(250, by="ada").sentence
    )
    assert "to no limit of the operator's" in found.throttle(None, by="ada").sentence
    assert found.read().documents_a_second is None


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_is_none_changes_nothing(rate: float) -> None:
    found = controls()
    found.throttle(9, by="ada")
    with pytest.raises(ControlError, match="is no rate; nothing changed"):
        found.throttle(rate, by="ada")
    assert found.read().documents_a_second == 9


@given(before=st.lists(ASKED, max_size=4), asked=ASKED)
def test_whatever_is_asked_twice_is_as_if_asked_once(before, asked) -> None:
    found = controls()
    found.begin("run 1")
    for each in before:
        ask(found, each)
    ask(found, asked)
    once = found.read()
    again = ask(found, asked, by="bob")
    assert not again.changed
    assert found.read() == once
    assert ask(found, asked, by="cid").sentence == again.sentence


@given(before=st.lists(ASKED, max_size=4), one=ASKED, other=ASKED)
def test_two_writers_at_once_both_have_their_way(before, one, other) -> None:
    """The second writes between the first one's read and write; neither is forgotten."""
    store = Interrupted()
    ours, theirs = controls(store), controls(store)
    ours.begin("run 1")
    for each in before:
        ask(ours, each)
    store.meanwhile = lambda: ask(theirs, other, by="bob")
    ask(ours, one)
    if store.meanwhile is not None:
        # Ours changed nothing, so it wrote nothing that theirs could come between.
        store.meanwhile = None
        ask(theirs, other, by="bob")
    raced = ours.read()

    in_order = controls()
    in_order.begin("run 1")
    for each in (*before, other, one):
        ask(in_order, each)
    if FIELD[one[0]] == FIELD[other[0]]:
        # Then one of the two came last.
        reverse = controls()
        reverse.begin("run 1")
        for each in (*before, one, other):
            ask(reverse, each)
        assert wishes(raced) in (wishes(in_order.read()), wishes(reverse.read()))
    else:
        assert wishes(raced) == wishes(in_order.read())


@given(one=ASKED, other=ASKED)
def test_wishes_for_different_things_commute(one, other) -> None:
    ends = []
    for order in ((one, other), (other, one)):
        found = controls()
        found.begin("run 1")
        for each in order:
            ask(found, each)
        ends.append(wishes(found.read()))
    if FIELD[one[0]] != FIELD[other[0]]:
        assert ends[0] == ends[1]


def test_a_cancel_reaches_the_run_it_was_meant_for_and_no_later_one() -> None:
    found = controls()
    assert found.cancel(by="ada").sentence == (
        "no run of products is under way; nothing was cancelled"
    )
    found.begin("run 1")
    assert not found.read().cancelled
    assert found.cancel(by="ada").changed
    assert "was cancelled already, by ada" in found.cancel(by="bob").sentence
    assert found.read().cancelled
    found.end("run 1")
    assert not found.read().cancelled


def test_a_cancel_of_a_killed_run_is_forgotten_by_the_next() -> None:
    found = controls()
    found.begin("run 1")
    found.cancel(by="ada")
    found.begin("run 2")
    assert not found.read().cancelled


def test_a_cancel_that_loses_the_race_against_the_next_run_leaves_it_alone() -> None:
    store = Interrupted()
    found, run = controls(store), controls(store)
    found.begin("run 1")
    store.meanwhile = lambda: (run.end("run 1"), run.begin("run 2"))
    answer = found.cancel(by="ada")
    assert not answer.changed
    assert "another is under way" in answer.sentence
    assert not found.read().cancelled


def test_the_late_end_of_a_former_run_does_not_end_the_next() -> None:
    found = controls()
    found.begin("run 1")
    found.begin("run 2")
    found.cancel(by="ada")
    found.end("run 1")
    assert found.read().run == "run 2"
    assert found.read().cancelled


def test_standing_wishes_outlive_a_run() -> None:
    found = controls()
    found.begin("run 1")
    for wish in (Wish.PAUSE, Wish.POSTPONE):
        found.ask(wish, by="ada")
    found.throttle(3, by="ada")
    found.end("run 1")
    found.begin("run 2")
    now = found.read()
    assert (now.paused, now.postponed, now.documents_a_second) == (True, True, 3)


def test_a_flag_file_postpones_until_it_is_removed(tmp_path: Path) -> None:
    flag = tmp_path / "postpone"
    found = controls(postpone_flag=flag)
    assert not found.read().postponed
    flag.touch()
    assert found.read().postponed
    assert str(flag) in found.why_postponed()
    answer = found.cut_over(by="ada")
    assert "still waits" in answer.sentence
    assert not answer.changed
    assert found.read().postponed
    flag.unlink()
    assert not found.read().postponed
    assert found.why_postponed() == ""


def test_lifting_the_wish_while_the_flag_stands_says_both(tmp_path: Path) -> None:
    flag = tmp_path / "postpone"
    flag.touch()
    found = controls(postpone_flag=flag)
    found.postpone(by="ada")
    answer = found.cut_over(by="ada")
    assert answer.changed
    assert "remove it" in answer.sentence
    flag.unlink()
    assert not found.read().postponed


@pytest.mark.skipif(os.getuid() == 0, reason="root sees every file")
def test_a_flag_that_cannot_be_seen_postpones(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    assert controls(postpone_flag=closed / "flag").read().postponed


def test_a_flag_behind_an_error_postpones(tmp_path: Path) -> None:
    unreadable = tmp_path / ("n" * 300)
    assert controls(postpone_flag=unreadable).read().postponed


def test_a_record_of_somebody_else_is_named_and_not_used() -> None:
    store = MemoryStore()
    store.put(CONTROL, "products", {"paused": "perhaps"}, expected=None)
    with pytest.raises(ControlError, match="not one of ours"):
        controls(store).read()


class Contended(MemoryStore):
    """A store in which somebody is always first."""

    def put(self, kind, key, body, *, expected):
        raise StateConflictError("somebody was first")


def test_a_store_in_which_somebody_is_always_first_is_told_and_not_waited_for() -> None:
    with pytest.raises(ControlError, match="nothing was noted"):
        controls(Contended()).pause(by="ada")
