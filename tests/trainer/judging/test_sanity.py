import numpy as np
import pytest

from desireline.trainer.documents.text import DocumentText
from desireline.trainer.judging.sanity import (
    OwnTitles,
    most_pushed,
    own_titles,
    titles_to_ask,
    unsound,
)

RANDOM = np.random.default_rng(3).standard_normal((50, 8)).astype(np.float32)


def with_row(vectors, row, value):
    changed = vectors.copy()
    changed[row] = value
    return changed


@pytest.mark.parametrize(
    ("vectors", "sentence"),
    [
        (with_row(RANDOM, 3, np.nan), "1 of 50 vectors hold what is no number"),
        (with_row(RANDOM, [0, 1], np.inf), "2 of 50 vectors hold what is no number"),
        (np.zeros((5, 8), dtype=np.float32), "all 5 vectors are zero"),
        (np.tile(RANDOM[:1], (9, 1)), "the vectors of 9 different texts are all alike"),
        (RANDOM, ""),
        (with_row(RANDOM, 0, 0.0), ""),
        (RANDOM[:1], ""),
    ],
)
def test_vectors_that_are_none_are_told_by_what_is_wrong(vectors, sentence):
    assert unsound(vectors) == sentence


def test_titles_are_asked_once_and_answered_by_every_document_that_has_them():
    documents = {
        "a": DocumentText(parts=("Red  Shoe", "made of leather")),
        "b": DocumentText(parts=("red shoe",)),
        "c": DocumentText(parts=("one two three four five six seven eight nine ten",)),
        "empty": DocumentText(parts=()),
    }
    titles = titles_to_ask(documents)
    assert titles == {
        "red shoe": frozenset({"a", "b"}),
        "one two three four five six seven eight": frozenset({"c"}),
    }


def test_the_same_titles_are_drawn_each_night():
    documents = {f"d{n}": DocumentText(parts=(f"title {n}",)) for n in range(2_000)}
    drawn = titles_to_ask(documents)
    assert len(drawn) == 500
    assert drawn == titles_to_ask(dict(reversed(documents.items())))


def test_only_titles_that_the_incumbent_answers_can_be_lost():
    titles = {name: frozenset({name}) for name in ("kept", "lost", "never")}
    late = [*"0123456789", "lost"]
    found = own_titles(
        titles,
        incumbent={"kept": ["kept"], "lost": ["x", "lost"], "never": ["x"]},
        candidate={"kept": ["y", "kept"], "lost": late, "never": ["x"]},
    )
    assert found == OwnTitles(found=2, lost=1)
    assert found.share_lost == 0.5
    assert OwnTitles(found=0, lost=0).share_lost == 0


def test_the_document_that_more_queries_find_than_before_is_named():
    before = {f"q{n}": ["a", "b"] for n in range(10)}
    after = {**before, **{f"q{n}": ["a", "c"] for n in range(4)}}
    push = most_pushed(before, after)
    assert (push.document_id, push.before, push.after) == ("c", 0.0, 0.4)
    assert push.rise == pytest.approx(0.4)
    assert most_pushed(before, {query: [] for query in before}) is None
