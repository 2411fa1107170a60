"""What a head learns from, how it is judged, and how it is kept."""

import dataclasses
import json
from datetime import UTC, datetime

import numpy as np
import pytest

from desireline.trainer.errors import IntentHeadChangedError, IntentHeadMissingError
from desireline.trainer.intent.head import IntentHead
from desireline.trainer.intent.lessons import categories_of, intent_lessons
from desireline.trainer.intent.scoring import (
    RARE,
    SELDOM,
    held_out_intents,
    score,
    score_head,
    score_majority,
)
from desireline.trainer.intent.storing import (
    IntentManifest,
    IntentStore,
    digest_of,
)
from desireline.trainer.intent.verdict import FEWEST, judge_head
from desireline.trainer.pairs import Pair, Passage

KINDS = {"s1": ("shoes",), "s2": ("shoes",), "t1": ("tea",), "b1": ("books", "tea"), "x": ()}
TITLES = {"s1": "Red Shoe", "s2": "blue shoe", "t1": "tea pot", "b1": "book of tea", "x": "?"}


def pair(anchor: str, document: str, weight: float = 1.0, source: str = "clicked") -> Pair:
    return Pair(anchor=anchor, positive=Passage(document, "x"), weight=weight, source=source)


def lessons(*pairs: Pair, most_titles: int = 10):
    return intent_lessons(pairs, KINDS, TITLES, most_titles=most_titles)


def test_a_query_has_the_categories_of_its_clicked_documents_by_their_weight() -> None:
    found = lessons(pair("boots", "s1", 3.0), pair("boots", "t1", 1.0), pair("brew", "b1", 0.5))
    assert found.categories == ("books", "shoes", "tea")
    assert found.queries == ("boots", "brew")
    np.testing.assert_allclose(found.of_queries, [[0, 0.75, 0.25], [0.5, 0, 0.5]])
    np.testing.assert_allclose(found.weights, [4 / 5, 0.5 / 1.5])
    np.testing.assert_allclose(found.trust, [1.0, 0.5])
    found = lessons(pair("boots", "s1", 0.8), pair("boots", "t1", 0.4))
    np.testing.assert_allclose(found.trust, [(0.64 + 0.16) / 1.2], rtol=1e-6)


def test_documents_without_a_category_and_pairs_of_documents_alone_teach_nothing() -> None:
    found = lessons(
        pair("a", "x"), pair("b", "s1", source="crops"), pair("c", "s1", source="crops+clicked")
    )
    assert found.queries == ("c",)
    assert lessons(pair("d", "s1", source="rated")).queries == ("d",)


def test_titles_are_normalised_and_drawn_from_every_category_in_turn() -> None:
    found = lessons(pair("boots", "s1"))
    assert found.titles == ("blue shoe", "book of tea", "red shoe", "tea pot")
    np.testing.assert_allclose(found.of_titles[1], [0.5, 0, 0.5])
    few = lessons(pair("boots", "s1"), most_titles=3)
    assert len(few.titles) == 3
    assert (few.of_titles.sum(axis=0) > 0).all()


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("Shoes ", ("Shoes",)),
        (["a", "b", "a"], ("a", "b")),
        (7, ("7",)),
        (None, ()),
        ("", ()),
        ({"name": "a"}, ()),
        (0.5, ()),
    ],
)
def test_what_a_field_says_as_categories(value, found) -> None:
    assert categories_of(value) == found


def held(qrels, segments=None):
    known = lessons(pair("boots", "s1", 9.0), pair("brew", "t1", 0.1))
    return held_out_intents(qrels, KINDS, segments=segments or {}, lessons=known)


def test_grades_are_added_up_by_category_before_what_is_below_zero_is_dropped() -> None:
    found = held({"q": {"s1": 1.0, "s2": -0.5, "t1": 0.5}, "none": {"s1": -1.0}, "x": {"x": 1.0}})
    assert found.queries == ("q",)
    np.testing.assert_allclose(found.shares, [[0.5, 0.5]])


def test_the_figures_are_what_they_are_called() -> None:
    found = held(
        {"a": {"s1": 1.0}, "b": {"s1": 1.0}, "c": {"t1": 1.0}, "d": {"b1": 1.0}},
        segments={"a": "head", "b": "tail", "c": "tail"},
    )
    assert found.categories == ("books", "shoes", "tea")
    rows = np.array(
        [[0.1, 0.8, 0.1], [0.2, 0.3, 0.5], [0.0, 0.25, 0.75], [0.6, 0.2, 0.2]], dtype=np.float32
    )
    scored = score(found.columns(rows, found.categories), found)
    figures = {name: round(figure.value, 4) for name, figure in scored.overall.items()}
    assert figures["accuracy"] == pytest.approx((1 + 0 + 1 + 0.5) / 4)
    assert figures["top-3"] == 1.0
    # books: held d, named d. shoes: held a and b, named a. tea: held c, named b and c.
    assert figures["macro-f1"] == pytest.approx((1 + 2 / 3 + 2 / 3) / 3, abs=1e-4)
    losses = [np.log(0.8), np.log(0.3), np.log(0.75), (np.log(0.6) + np.log(0.2)) / 2]
    assert figures["log-loss"] == pytest.approx(-np.mean(losses), abs=1e-4)
    assert scored.parts[SELDOM]["accuracy"].value == 0.5
    assert scored.parts[RARE]["accuracy"].value == pytest.approx(0.75)
    for figure in scored.overall.values():
        assert figure.low <= figure.value + 1e-9


def test_a_category_that_the_head_does_not_know_counts_as_wrong() -> None:
    found = held({"a": {"s1": 1.0}, "c": {"t1": 1.0}})
    rows = np.array([[0.9, 0.1], [0.9, 0.1]], dtype=np.float32)
    scored = score(found.columns(rows, ("shoes", "garden")), found)
    assert scored.right.tolist() == [1.0, 0.0]
    assert scored.losses[1] == pytest.approx(-np.log(1e-4))
    strange = score(found.columns(rows, ("garden", "shoes")), found)
    assert strange.right.tolist() == [0.0, 0.0]


def test_true_confidences_have_no_calibration_error_and_boasting_ones_do() -> None:
    random = np.random.default_rng(0)
    chances = random.uniform(0.5, 1, 1_500)
    right = random.random(1_500) < chances
    qrels = {f"{n:05}": {"s1" if r else "t1": 1.0} for n, r in enumerate(right)}
    found = held(qrels)
    for told, low, high in ((chances, 0.0, 0.03), (np.full(1_500, 0.99), 0.2, 0.3)):
        rows = np.stack([told, 1 - told], axis=1).astype(np.float32)
        scored = score(found.columns(rows, ("shoes", "tea")), found)
        assert low <= scored.overall["calibration error"].value <= high


def judged(count: int, right: float, serving=None, *, seed: int = 0):
    """Let a head that is right so often be judged on two kinds of queries."""
    qrels = {f"{n:03}": {"s1" if n % 2 else "t1": 1.0} for n in range(count)}
    found = held(qrels)
    random = np.random.default_rng(seed)

    def answers(share):
        hit = random.random(count) < share
        shoes = np.array([(n % 2 == 1) == hit[n] for n in range(count)])
        rows = np.where(shoes[:, None], [[0.8, 0.2]], [[0.2, 0.8]]).astype(np.float32)
        return score(found.columns(rows, ("shoes", "tea")), found)

    known = lessons(pair("boots", "s1", 9.0), pair("brew", "t1", 1.0))
    before = None if serving is None else answers(serving)
    return judge_head(answers(right), score_majority(known, found), before)


def test_a_head_serves_if_it_surely_beats_the_most_frequent_category() -> None:
    verdict = judged(200, 0.9)
    assert verdict.promote
    assert "0.500 by the most frequent category" in verdict.reason
    assert not judged(200, 0.5).promote
    assert "not surely right more often" in judged(200, 0.5).reason


def test_a_head_that_is_proved_worse_than_the_one_that_serves_is_refused() -> None:
    verdict = judged(300, 0.7, serving=0.95)
    assert not verdict.promote
    assert "worse than the head that serves" in verdict.reason
    assert judged(300, 0.9, serving=0.9).promote
    assert judged(300, 0.95, serving=0.7).promote


def test_a_few_held_out_queries_prove_nothing() -> None:
    verdict = judged(FEWEST - 1, 1.0)
    assert not verdict.promote
    assert f"{FEWEST} are needed" in verdict.reason


# On the disk.


def head(scale: float = 1.0) -> IntentHead:
    return IntentHead(
        encoder="e" * 64,
        categories=("a", "b"),
        weights=np.array([[scale, -1], [0.5, 2]], dtype=np.float32),
        bias=np.zeros(2, dtype=np.float32),
        temperature=1.5,
    )


def manifest(of: IntentHead) -> IntentManifest:
    return IntentManifest.of(
        of,
        target="shop",
        field="category",
        filter_field="category.keyword",
        cycle="c",
        queries=10,
        titles=3,
        seed=7,
        created_at=datetime(2026, 11, 22, tzinfo=UTC),
    )


@pytest.fixture
def store(tmp_path) -> IntentStore:
    return IntentStore(tmp_path / "intent" / "shop")


def test_a_head_comes_back_as_it_was_stored(store) -> None:
    kept = manifest(head())
    store.add(head(), kept)
    store.add(head(), kept)
    found, told = store.load(kept.head)
    np.testing.assert_array_equal(found.weights, head().weights)
    assert (told, digest_of(found)) == (kept, kept.head)
    assert store.list() == [kept.head]
    store.remove(kept.head)
    store.remove(kept.head)
    assert store.list() == []
    with pytest.raises(IntentHeadMissingError, match="not on this machine"):
        store.load(kept.head)


@pytest.mark.parametrize(
    "changed",
    [
        {"encoder": "f" * 64},
        {"categories": ["b", "a"]},
        {"temperature": 1.0},
        {"weights": "0" * 64},
        {"head": "0" * 64},
        {"unknown": 1},
    ],
)
def test_a_head_of_which_anything_was_changed_is_not_loaded(store, tmp_path, changed) -> None:
    kept = manifest(head())
    store.add(head(), kept)
    path = tmp_path / "intent" / "shop" / kept.head / "intent.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(IntentHeadChangedError, match="not loaded"):
        store.load(kept.head)


def test_other_weights_are_not_loaded_and_no_other_manifest_is_taken(store, tmp_path) -> None:
    kept = manifest(head())
    store.add(head(), kept)
    weights = tmp_path / "intent" / "shop" / kept.head / "head.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(IntentHeadChangedError, match="other bytes"):
        store.load(kept.head)
    with pytest.raises(IntentHeadChangedError, match="another head's"):
        store.add(head(2.0), kept)
    assert store.list() == [kept.head]


def test_no_path_can_be_named_as_a_head(store) -> None:
    with pytest.raises(IntentHeadMissingError, match="not the digest"):
        store.load("../" + "0" * 61)


def test_a_head_is_told_by_its_own_encoders_vectors() -> None:
    known = held({"a": {"s1": 1.0}})
    named = dataclasses.replace(head(), categories=("shoes", "tea"))
    scored = score_head(named, np.array([[3.0, 0.0]], dtype=np.float32), known)
    assert scored.right.tolist() == [1.0]
