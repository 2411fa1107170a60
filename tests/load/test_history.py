"""The checker finds what it is there to find."""

import pytest
from load_history import ABSENT, History, Kind, State, Violation


def written() -> History:
    history = History()
    history.acknowledge("a", Kind.INDEX, 1)
    history.acknowledge("a", Kind.UPDATE, 2)
    history.acknowledge("b", Kind.INDEX, 3)
    history.acknowledge("b", Kind.DELETE, 4)
    return history


def test_what_was_acknowledged_last_is_right() -> None:
    found = {"a": State(born=1, changed=2), "b": ABSENT, "never written": ABSENT}
    assert written().judge(found) == {}


@pytest.mark.parametrize(
    ("found", "violation"),
    [
        ({"a": ABSENT}, Violation.LOST),
        ({"a": State(born=1, changed=1)}, Violation.OVERWRITTEN),
        ({"a": State(born=2, changed=2)}, Violation.OVERWRITTEN),
        ({"a": State(born=1, changed=9)}, Violation.OVERWRITTEN),
        ({"b": State(born=3, changed=3)}, Violation.RESURRECTED),
        ({"never written": State(born=1, changed=1)}, Violation.RESURRECTED),
    ],
)
def test_anything_else_is_a_violation(found, violation) -> None:
    assert written().judge(found) == {next(iter(found)): violation}


def test_an_operation_without_an_answer_may_have_been_carried_out_or_not() -> None:
    history = written()
    history.leave_unsure("a", Kind.DELETE, 5)
    assert history.judge({"a": ABSENT}) == {}
    assert history.judge({"a": State(born=1, changed=2)}) == {}
    assert history.judge({"a": State(born=1, changed=1)}) == {"a": Violation.OVERWRITTEN}
    assert history.key("a").unsure


def test_an_update_of_a_document_that_may_be_gone_leaves_what_its_answer_allows() -> None:
    history = written()
    history.leave_unsure("a", Kind.DELETE, 5)
    history.acknowledge("a", Kind.UPDATE, 6)
    assert history.judge({"a": State(born=1, changed=6)}) == {}
    assert history.judge({"a": ABSENT}) == {"a": Violation.LOST}
