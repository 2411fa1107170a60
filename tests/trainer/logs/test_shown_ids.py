"""Numbers in the place of ids of shown documents: when they are believed, and when not."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from desireline.connectors.events import Action, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.trainer.logs.frames import LogFrames, gather
from desireline.trainer.logs.shown_ids import DEFECT, Known, without_document_numbers

START = datetime(2026, 3, 3, tzinfo=UTC)


def frames(shown: Sequence[Sequence[str]], clicked: Sequence[str] = ()) -> LogFrames:
    """One search for each list, and a click in each of the first of them."""
    queries = [
        Query(query_id=f"q{n}", text="shoe", at=START + timedelta(minutes=n), shown=tuple(ids))
        for n, ids in enumerate(shown)
    ]
    actions = [
        Action(query_id=f"q{n}", document_id=each, kind="click", at=START + timedelta(minutes=n))
        for n, each in enumerate(clicked)
    ]
    batch = LogBatch(cursor=Cursor("x"), queries=tuple(queries), actions=tuple(actions))
    return gather([batch])


def among(documents: Collection[str]) -> Known:
    return lambda ids: set(ids) & set(documents)


def lists(found: LogFrames) -> list[list[str]]:
    return found.queries.get_column("shown").to_list()


def test_ids_that_are_no_numbers_are_never_asked_about() -> None:
    def nobody(ids: Sequence[str]) -> Collection[str]:
        raise AssertionError(ids)

    log = frames([["a1", "b2"], []])
    assert without_document_numbers(log, nobody) is log


def test_only_the_lists_of_numbers_are_emptied() -> None:
    log = frames([["1", "2"], ["a", "b"], [], ["3", "x"]])
    found = without_document_numbers(log, among([]))
    assert lists(found) == [[], ["a", "b"], [], ["3", "x"]]
    assert found.defects[DEFECT] == 1


@pytest.mark.parametrize(
    ("known", "clicked", "believed"),
    [
        (None, [], True),
        (among([]), [], False),
        (among(["1", "2"]), [], True),
        (among([]), ["1", "1"], True),
        (among(["1", "2"]), ["9"] * 5, True),
        (among(["1", "2"]), ["9"] * 20, False),
        (None, ["9"] * 20, False),
        (None, ["9"] * 18 + ["1", "2"], True),
    ],
    ids=[
        "nothing speaks against them",
        "no documents",
        "documents",
        "no longer documents, but clicked",
        "documents, and too few clicks elsewhere",
        "documents, but what is clicked is never on the list",
        "what is clicked is never on the list",
        "what is clicked is on the list now and then",
    ],
)
def test_numbers_are_believed_unless_refuted(
    known: Known | None, clicked: list[str], *, believed: bool
) -> None:
    log = frames([["1", "2"]] * 20, clicked)
    found = without_document_numbers(log, known)
    assert (lists(found) == lists(log)) is believed
    assert (DEFECT not in found.defects) is believed


def test_a_log_without_searches_is_left_as_it_is() -> None:
    log = frames([])
    assert without_document_numbers(log, among([])) is log
