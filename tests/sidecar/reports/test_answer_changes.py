"""Examples of changed answers: what they say, how long they are kept, and that they go."""

from datetime import UTC, datetime

import pytest

from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.erasing.places import ChangesPlace, Subject
from desireline.sidecar.reports.answer_changes import (
    ANSWER_CHANGES,
    kept_changes,
    tell_changes,
)
from desireline.sidecar.reports.cycle_report import CYCLE, Diary, Outcome
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.trainer.judging.changes import largest_changes
from desireline.trainer.measures.base import parse

RR = parse("mrr@10")
TITLES = {"a": "a shoe", "b": "", "c": "x" * 500}
BEFORE = {"red shoe": tuple("abcdefghijkl"), "sea": ("a", "b")}
AFTER = {"red shoe": tuple("lkjihgfedcba"), "sea": ("b", "a")}


@pytest.fixture
def clock():
    minutes = iter(range(60))
    return lambda: datetime(2026, 11, 22, 2, next(minutes), tzinfo=UTC)


def told(qrels, *, judged=2):
    runs = BEFORE, AFTER
    return tell_changes(
        largest_changes(*runs, qrels, measure=RR, most=5),
        judged=judged,
        runs=runs,
        qrels=qrels,
        titles=TITLES,
        measure=RR,
    )


def test_an_example_says_what_came_what_went_and_where_the_wanted_document_is():
    changes = told({"red shoe": {"l": 1.0}, "sea": {"a": 1.0}})
    ((win,), (loss,)) = changes.wins, changes.losses
    assert (win.query, round(win.gain, 3)) == ("red shoe", 1.0)
    assert [answer.document_id for answer in win.before] == list("abcdefghij")
    assert [answer.document_id for answer in win.after] == list("lkjihgfedc")
    assert {answer.document_id for answer in win.answers if answer.entered} == {"l", "k"}
    assert {answer.document_id for answer in win.answers if answer.left} == {"a", "b"}
    ((wanted),) = win.wanted
    assert (wanted.document_id, wanted.before, wanted.after) == ("l", 12, 1)
    assert (loss.query, loss.gain) == ("sea", -0.5)


def test_a_document_has_its_title_or_its_id_and_no_title_fills_a_page():
    (win,) = told({"red shoe": {"l": 1.0}}).wins
    titles = {answer.document_id: answer.title for answer in win.answers}
    assert (titles["a"], titles["b"], len(titles["c"])) == ("a shoe", "b", 120)


def test_what_people_wanted_is_told_wherever_it_is():
    changes = told({"red shoe": {"l": 1.0, "nowhere": 1.0}})
    (win,) = changes.wins
    gone = next(answer for answer in win.wanted if answer.document_id == "nowhere")
    assert (gone.before, gone.after, changes.depth) == (None, None, 12)


def test_where_nothing_may_be_shown_the_reason_is_said():
    changes = told({}, judged=40)
    assert (changes.wins, changes.losses) == ((), ())
    assert "40 of 40 are not shown, for too few people typed them" in changes.sentence
    assert told({"sea": {"a": 1.0}}, judged=1).withheld == ""


def test_examples_are_in_the_report_and_in_a_record_of_their_own_until_the_next_cycle(clock):
    store = MemoryStore()
    diary = Diary(store, "shop", SilentReporter(), clock)
    diary.measured({}, {}, candidate="c", changes=told({"sea": {"a": 1.0}}))
    report = diary.end(Outcome.KEPT_INCUMBENT, "why")
    assert report.to_json()["changes"]["losses"][0]["query"] == "sea"
    assert all("sea" not in str(record.body) for record in store.list(CYCLE))
    assert kept_changes(store, "shop", diary.cycle)["losses"][0]["query"] == "sea"
    assert kept_changes(store, "shop", "another cycle") is None
    Diary(store, "shop", SilentReporter(), clock)
    assert store.list(ANSWER_CHANGES) == []


def test_an_erased_query_takes_the_examples_with_it(clock):
    store = MemoryStore()
    diary = Diary(store, "shop", SilentReporter(), clock)
    diary.measured({}, {}, candidate="c", changes=told({"sea": {"a": 1.0}}))
    other, same = (ChangesPlace(store, "shop", Subject(text=text)) for text in ("land", "sea"))
    other.remove()
    assert (other.count(), same.count()) == (0, 1)
    same.remove()
    assert same.count() == 0
    assert store.list(ANSWER_CHANGES) == []
