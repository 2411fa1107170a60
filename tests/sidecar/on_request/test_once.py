"""Invariant 35: what is asked for twice under one key is done once."""

from datetime import UTC, datetime, timedelta

import pytest

from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.errors import BackfillError
from desireline.sidecar.on_request.once import KEPT, KeyReusedError, Once


class Asked:
    """Counts how often the work was done."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
        self.store = MemoryStore()
        self.done = 0

    def work(self) -> str:
        self.done += 1
        return f"begun {self.done}"

    def answer(self, key: str = "k", work=None, **request) -> str:
        return Once(self.store, lambda: self.now).answer(key, request, work or self.work)


def test_the_same_key_is_answered_the_same_and_done_once() -> None:
    asked = Asked()
    assert [asked.answer() for _ in range(3)] == ["begun 1"] * 3
    assert asked.answer("another") == "begun 2"


def test_a_key_stands_for_one_request() -> None:
    asked = Asked()
    asked.answer(model="a")
    with pytest.raises(KeyReusedError, match="nothing was done"):
        asked.answer(model="b")
    assert asked.done == 1


def test_what_failed_may_be_tried_again() -> None:
    asked = Asked()

    def refused() -> str:
        raise BackfillError("no")

    with pytest.raises(BackfillError):
        asked.answer(work=refused)
    assert asked.answer() == "begun 1"


def test_a_second_request_while_the_first_is_begun_begins_nothing() -> None:
    asked = Asked()
    meanwhile: list[str] = []

    def slow() -> str:
        meanwhile.append(asked.answer())
        return asked.work()

    assert asked.answer(work=slow) == "begun 1"
    assert meanwhile == ["this was asked for already under the same key and is being begun"]
    assert asked.done == 1


def test_an_answer_is_forgotten_after_its_time() -> None:
    asked = Asked()
    asked.answer()
    asked.now += KEPT - timedelta(seconds=1)
    assert asked.answer() == "begun 1"
    asked.now += timedelta(seconds=2)
    assert asked.answer() == "begun 2"
