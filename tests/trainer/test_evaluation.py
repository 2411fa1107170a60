import numpy as np
import pytest

from desireline.trainer.changes import distance, largest_changes
from desireline.trainer.errors import NotComparableError
from desireline.trainer.evaluation import by_frequency, compare, evaluate, rank_exact
from desireline.trainer.measures.ndcg import Ndcg
from desireline.trainer.measures.reciprocal_rank import ReciprocalRank

RR = ReciprocalRank(10)
QRELS = {f"q{number}": {f"d{number}": 1.0} for number in range(60)}


def run_at(position, queries=QRELS):
    """Every query finds its document at this position."""
    return {
        query: [*(f"x{place}" for place in range(position - 1)), f"d{query[1:]}"]
        for query in queries
    }


class TwoWords:
    """An encoder of two words, so that every score can be told by hand."""

    fingerprint = "two words"
    dimension = 2
    similarity = "dot"

    def encode_queries(self, texts):
        return np.array([[t.count("tea"), t.count("cup")] for t in texts], dtype=np.float32)

    encode_documents = encode_queries


def test_a_query_without_answers_counts_as_zero():
    half = {query: run for query, run in run_at(1).items() if int(query[1:]) % 2}
    assert evaluate(half, QRELS, [RR]).mean(RR) == 0.5


def test_answers_to_queries_without_truth_do_not_count():
    assert evaluate(run_at(1) | {"other": ["x"]}, QRELS, [RR]).table() == {"mrr@10": 1.0}


def test_the_interval_holds_the_true_mean_about_95_times_in_100():
    held = 0
    for trial in range(200):
        right = np.random.default_rng(trial).random(80) < 0.3
        run = {query: [f"d{query[1:]}"] for query, ok in zip(QRELS80, right, strict=True) if ok}
        interval = evaluate(run, QRELS80, [RR]).interval(RR, seed=trial)
        held += interval.low <= 0.3 <= interval.high
    assert 180 <= held <= 199


QRELS80 = {f"q{number}": {f"d{number}": 1.0} for number in range(80)}


def test_a_comparison_is_paired_and_repeatable():
    after, before = (evaluate(run_at(place), QRELS, [RR, Ndcg(10)]) for place in (1, 2))
    one, two = compare(after, before, seed=3), compare(after, before, seed=3)
    assert one == two
    gain = one.of(RR).gain
    assert (gain.mean, gain.low, gain.high) == (0.5, 0.5, 0.5)
    assert (one.of(RR).incumbent, one.of(RR).candidate) == (0.5, 1.0)


def test_segments_are_compared_apart():
    better_head = run_at(1, list(QRELS)[:20]) | run_at(4, list(QRELS)[20:])
    segments = {query: "head" if int(query[1:]) < 20 else "tail" for query in QRELS}
    after, before = (evaluate(run, QRELS, [RR]) for run in (better_head, run_at(2)))
    comparison = compare(after, before, segments=segments)
    assert comparison.segments == ("head", "tail")
    assert comparison.of(RR, "head").gain.mean == 0.5
    assert comparison.of(RR, "tail").gain.mean == -0.25


def test_evaluations_over_other_queries_are_not_compared():
    other = evaluate({}, {"other": {"d": 1.0}}, [RR])
    with pytest.raises(NotComparableError):
        compare(evaluate({}, QRELS, [RR]), other)


def test_an_exact_run_ranks_by_inner_product_and_leaves_empty_documents_out():
    documents = {"a": "cup", "b": "tea tea", "c": "", "d": "tea", "e": "tea"}
    run = rank_exact(TwoWords(), ["tea", "cup"], documents, k=3)
    assert run == {"tea": ("b", "d", "e"), "cup": ("a", "b", "d")}


@pytest.mark.parametrize(("queries", "documents"), [([], {"a": "tea"}), (["tea"], {})])
def test_an_exact_run_over_nothing_is_empty(queries, documents):
    assert rank_exact(TwoWords(), queries, documents, k=3) == dict.fromkeys(queries, ())


def test_head_torso_and_tail_are_a_third_of_the_searches_each():
    segments = by_frequency({"a": 30, "b": 10, "c": 10, "d": 10, **dict.fromkeys("efghij", 5)})
    assert segments["a"] == "head"
    assert {segments[query] for query in "bcd"} == {"torso"}
    assert {segments[query] for query in "efghij"} == {"tail"}


def test_the_least_searched_are_the_tail_however_many_they_are():
    segments = by_frequency({"a": 2, **{f"once {n}": 1 for n in range(50)}})
    assert segments["a"] == "head"
    assert {segments[f"once {n}"] for n in range(50)} == {"tail"}


def test_a_surer_interval_is_wider():
    good = evaluate(run_at(1), QRELS, [RR])
    mixed = evaluate({**run_at(2), **run_at(1, [f"q{n}" for n in range(30)])}, QRELS, [RR])
    usual, surer = (compare(good, mixed, confidence=c).of(RR).gain for c in (0.95, 0.999))
    assert surer.mean == usual.mean
    assert surer.low < usual.low
    assert surer.high > usual.high


def test_a_vector_that_is_no_number_is_no_answer():
    class Broken(TwoWords):
        def encode_documents(self, texts):
            vectors = super().encode_documents(texts)
            vectors[0] = float("nan")
            return vectors

    documents = {"broken": "shoe", "whole": "shoe", "other": "sea"}
    assert "broken" not in rank_exact(Broken(), ["shoe"], documents, k=3)["shoe"]
    assert "broken" in rank_exact(TwoWords(), ["shoe"], documents, k=3)["shoe"]


def test_the_largest_gains_and_losses_come_first_each_by_itself():
    before = {
        "same": ["d", "e"],
        "swapped": ["d", "e"],
        "other": ["x", "y"],
        "raised": ["x", "d"],
        "also raised": ["x", "d"],
        "other order below": ["d", "x", "y"],
        "nobody's": ["x"],
    }
    after = {
        "same": ["d", "e"],
        "swapped": ["e", "d"],
        "other": ["d", "z"],
        "raised": ["d", "x"],
        "also raised": ["d", "x"],
        "other order below": ["d", "y", "x"],
        "nobody's": ["d"],
    }
    qrels = {query: {"d": 1.0} for query in before if query != "nobody's"}
    found = largest_changes(before, after, qrels, measure=RR, most=2)
    assert [(change.query, change.gain) for change in found.wins] == [
        ("other", 1.0),
        ("also raised", 0.5),
    ]
    assert [(change.query, change.gain) for change in found.losses] == [("swapped", -0.5)]
    assert (found.queries, found.changed, found.better, found.worse) == (6, 5, 3, 1)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [("abc", "abc", 0), ("abc", "xyz", 1), ("", "", 0), ("abc", "", 1)],
)
def test_the_distance_is_zero_for_equal_answers_and_one_for_others(before, after, expected):
    assert distance(before, after) == pytest.approx(expected)
