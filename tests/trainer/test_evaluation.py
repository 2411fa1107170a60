import ir_measures
import numpy as np
import pytest

from desireline.trainer.errors import NotComparableError
from desireline.trainer.evaluation import (
    by_frequency,
    compare,
    evaluate,
    evaluate_clicks,
    rank_exact,
)
from desireline.trainer.judging.changes import distance, largest_changes
from desireline.trainer.measures.base import parse
from desireline.trainer.measures.ndcg import Ndcg
from desireline.trainer.measures.recall import Recall
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


def test_the_interval_is_that_of_the_differences_not_of_either_ranking():
    places = {query: 1 + number % 10 for number, query in enumerate(QRELS)}
    before = {query: run_at(place + 1)[query] for query, place in places.items()}
    after = {query: run_at(place)[query] for query, place in places.items()}
    one, other = (evaluate(run, QRELS, [RR]) for run in (after, before))
    gain = compare(one, other).of(RR).gain
    differences = one.values[RR] - other.values[RR]
    reach = 1.96 * differences.std() / len(differences) ** 0.5
    assert gain.mean == pytest.approx(differences.mean())
    assert gain.mean - gain.low == pytest.approx(reach, rel=0.15)
    assert gain.high - gain.mean == pytest.approx(reach, rel=0.15)


def test_clicks_that_count_less_say_the_same_as_certain_ones():
    """Half the weight everywhere changes neither the mean nor the interval."""
    runs = run_at(1), {**run_at(2), **run_at(1, list(QRELS)[:20])}
    half = {query: dict.fromkeys(grades, 0.5) for query, grades in QRELS.items()}
    certain, weak = (
        compare(*(evaluate_clicks(run, truth, [RR]) for run in runs)).of(RR)
        for truth in (QRELS, half)
    )
    assert certain.gain.mean == pytest.approx(1 / 3)
    assert (weak.gain.low, weak.gain.mean, weak.gain.high) == pytest.approx(
        (certain.gain.low, certain.gain.mean, certain.gain.high)
    )
    assert weak.incumbent == pytest.approx(certain.incumbent)


def test_a_query_whose_clicks_say_nothing_is_not_counted_among_those_that_prove():
    truth = {**QRELS, "q0": {"d0": -0.5}, "q1": {"d1": 0.0}}
    one = evaluate_clicks(run_at(1), truth, [RR])
    assert compare(one, one).of(RR).queries == len(QRELS) - 2
    nothing = evaluate_clicks(run_at(1), {"q0": {"d0": 0.0}}, [RR])
    found = compare(nothing, nothing).of(RR)
    assert (found.queries, found.gain.mean, found.gain.low, found.gain.high) == (0, 0, 0, 0)


def test_what_stands_below_the_cutoff_is_not_measured():
    truth = {"q": {"d": 1.0}}
    run = {"q": [*(f"x{n}" for n in range(10)), "d"]}
    assert evaluate_clicks(run, truth, [Recall(10), Recall(20)]).table() == {
        "recall@10": 0.0,
        "recall@20": 1.0,
    }


@pytest.mark.parametrize("cutoff", [10, 20])
def test_a_whole_run_is_measured_as_ir_measures_does(cutoff):
    """Graded truth, runs shorter and longer than the cutoff, none at all, nothing relevant."""
    random = np.random.default_rng(5)
    names = [f"d{number}" for number in range(40)]
    qrels = {
        f"q{number}": {name: int(random.integers(0, 4)) for name in random.choice(names, 9)}
        for number in range(30)
    }
    qrels["nothing relevant"] = {"d1": 0}
    run = {
        query: tuple(random.permutation(names)[: random.integers(1, 35)]) for query in list(qrels)
    }
    run["q3"] = ()
    del run["q4"]
    scored = {
        query: {name: 100.0 - place for place, name in enumerate(ranked)}
        for query, ranked in run.items()
    }
    theirs = {
        "mrr": f"RR@{cutoff}",
        "recall": f"R@{cutoff}",
        "map": f"AP@{cutoff}",
        "ndcg": f"nDCG@{cutoff}",
        "hit": f"Success@{cutoff}",
    }
    ours = evaluate(run, qrels, [parse(f"{name}@{cutoff}") for name in theirs])
    for name, oracle in theirs.items():
        measure = ir_measures.parse_measure(oracle)
        expected = {
            each.query_id: each.value for each in ir_measures.iter_calc([measure], qrels, scored)
        }
        found = dict(zip(ours.queries, ours.values[parse(f"{name}@{cutoff}")], strict=True))
        assert found == pytest.approx({query: expected.get(query, 0.0) for query in qrels}), name


def test_evaluations_by_other_measures_are_not_compared():
    with pytest.raises(NotComparableError):
        compare(evaluate({}, QRELS, [RR]), evaluate({}, QRELS, [Ndcg(10)]))


def test_more_queries_than_are_ranked_at_once_are_all_ranked():
    queries = [f"tea {number}" for number in range(1_100)]
    run = rank_exact(TwoWords(), queries, {"a": "cup", "b": "tea"}, k=1)
    assert run == dict.fromkeys(queries, ("b",))


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


def test_the_torso_ends_where_two_thirds_of_the_searches_are_told():
    searches = {"a": 40, "b": 15, "c": 14, "d": 13, **{f"once {n}": 1 for n in range(18)}}
    found = by_frequency(searches)
    assert [found[query] for query in "abcd"] == ["head", "torso", "torso", "tail"]


def test_equal_scores_keep_the_order_of_the_documents_however_many_they_are():
    documents = {f"d{n}": "tea" if n % 3 else "tea tea" for n in range(300)}
    twice, once = (
        [name for name, text in documents.items() if text == which] for which in ("tea tea", "tea")
    )
    run = rank_exact(TwoWords(), ["tea"], documents, k=250)
    assert list(run["tea"]) == [*twice, *once][:250]


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


def test_a_score_without_end_is_no_answer():
    class Endless(TwoWords):
        def encode_documents(self, texts):
            vectors = super().encode_documents(texts)
            vectors[0, 0] = float("inf")
            return vectors

    assert rank_exact(Endless(), ["tea"], {"a": "cup", "b": "tea"}, k=2) == {"tea": ("b",)}


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
