"""A head learns what queries mean, says how sure it is, and abstains where it is not."""

import numpy as np
import pytest

from desireline.trainer.intent.descent import lowest
from desireline.trainer.intent.head import IntentHead, probabilities
from desireline.trainer.intent.learning import Lesson, learn_head

CATEGORIES = ("books", "shoes", "tea")
ENCODER = "e" * 64


def planted(count: int, *, seed: int, sharpness: float = 12.0):
    """Vectors whose category is drawn by a hidden linear map, less by chance where it is sharp."""
    random = np.random.default_rng(seed)
    hidden = np.random.default_rng(99).standard_normal((16, len(CATEGORIES)))
    vectors = random.standard_normal((count, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chances = probabilities((sharpness * vectors @ hidden).astype(np.float32))
    labels = np.array([random.choice(3, p=row / row.sum()) for row in chances.astype(float)])
    return vectors, labels


def lesson(vectors, labels, trust=1.0) -> Lesson:
    return Lesson(
        vectors=vectors,
        shares=np.eye(len(CATEGORIES), dtype=np.float32)[labels],
        weights=np.ones(len(labels), dtype=np.float32),
        trust=np.full(len(labels), trust, dtype=np.float32),
    )


NO_TITLES = lesson(np.empty((0, 16), dtype=np.float32), np.empty(0, dtype=int))


def learned(vectors, labels, titles=NO_TITLES, seed=0):
    return learn_head(
        lesson(vectors, labels), titles, encoder=ENCODER, categories=CATEGORIES, seed=seed
    )


def test_a_planted_mapping_is_found_again() -> None:
    head = learned(*planted(1_500, seed=1, sharpness=60)).head
    vectors, labels = planted(1_000, seed=2, sharpness=60)
    found = head.confidences(vectors).argmax(axis=1)
    assert (found == labels).mean() > 0.95
    assert head.encoder == ENCODER


def test_confidences_are_true_on_average_though_labels_are_drawn_by_chance() -> None:
    head = learned(*planted(3_000, seed=1, sharpness=2)).head
    vectors, labels = planted(4_000, seed=2, sharpness=2)
    confidences = head.confidences(vectors)
    sure, right = confidences.max(axis=1), confidences.argmax(axis=1) == labels
    assert sure.std() > 0.05
    for low, high in ((0, 50), (50, 100)):
        rows = (np.percentile(sure, low) <= sure) & (sure <= np.percentile(sure, high))
        assert right[rows].mean() == pytest.approx(sure[rows].mean(), abs=0.05)


def test_where_clicks_are_known_to_err_confidences_are_true_of_what_is_meant() -> None:
    vectors, meant = planted(4_000, seed=1, sharpness=4)
    random = np.random.default_rng(7)
    wrong = random.random(4_000) < 0.4
    shown = np.where(wrong, random.integers(0, 3, 4_000), meant)
    judging, truth = planted(2_000, seed=2, sharpness=4)
    off = {}
    for trust in (1.0, 0.6):
        head = learn_head(
            lesson(vectors, shown, trust), NO_TITLES, encoder=ENCODER, categories=CATEGORIES
        ).head
        confidences = head.confidences(judging)
        right = (confidences.argmax(axis=1) == truth).mean()
        off[trust] = right - confidences.max(axis=1).mean()
    assert off[1.0] > 0.1
    assert abs(off[0.6]) < 0.05


def test_the_temperature_mends_a_head_that_is_too_sure() -> None:
    """With few noisy lessons the map learns by heart; who was kept apart tells."""
    vectors, labels = planted(60, seed=3, sharpness=1)
    found = learned(vectors, labels)
    cold = IntentHead(
        encoder=ENCODER,
        categories=CATEGORIES,
        weights=found.head.weights * 10,
        bias=found.head.bias * 10,
        temperature=found.head.temperature * 10,
    )
    np.testing.assert_allclose(
        cold.confidences(vectors), found.head.confidences(vectors), atol=1e-4
    )
    judging, truth = planted(2_000, seed=4, sharpness=1)
    confidences = found.head.confidences(judging)
    right = (confidences.argmax(axis=1) == truth).mean()
    assert confidences.max(axis=1).mean() == pytest.approx(right, abs=0.15)


def test_the_same_seed_gives_the_same_head() -> None:
    first, again = (learned(*planted(200, seed=1), seed=5).head for _ in range(2))
    np.testing.assert_array_equal(first.weights, again.weights)
    assert first.temperature == again.temperature


def test_titles_teach_a_category_that_nobody_searched_for() -> None:
    vectors, labels = planted(400, seed=1, sharpness=60)
    without = labels != 2
    titles = lesson(*planted(60, seed=6, sharpness=60))
    judging, truth = planted(500, seed=2, sharpness=60)
    rare = truth == 2
    for known, least in ((NO_TITLES, 0.0), (titles, 0.5)):
        head = learned(vectors[without], labels[without], known).head
        found = (head.confidences(judging).argmax(axis=1) == truth)[rare].mean()
        assert found >= least
        if known is NO_TITLES:
            assert found == 0


def test_soft_labels_are_learned_as_they_are() -> None:
    vectors = np.tile(np.eye(16, dtype=np.float32)[:1], (100, 1))
    shares = np.tile(np.array([[0.7, 0.3, 0.0]], dtype=np.float32), (100, 1))
    once = np.ones(100, dtype=np.float32)
    both = Lesson(vectors=vectors, shares=shares, weights=once, trust=once)
    head = learn_head(both, NO_TITLES, encoder=ENCODER, categories=CATEGORIES).head
    np.testing.assert_allclose(head.confidences(vectors[:1])[0], [0.7, 0.3, 0.0], atol=0.02)


def certain(*chances: float) -> IntentHead:
    """A head that answers the same to everything."""
    return IntentHead(
        encoder=ENCODER,
        categories=CATEGORIES,
        weights=np.zeros((16, 3), dtype=np.float32),
        bias=np.log(np.array(chances, dtype=np.float32)),
        temperature=1.0,
    )


@pytest.mark.parametrize(
    ("least", "most", "named"),
    [
        (0.5, 3, ("shoes",)),
        (0.7, 3, ("shoes", "tea")),
        (0.95, 3, ("shoes", "tea", "books")),
        (0.95, 2, ()),
        (0.7, 1, ()),
    ],
)
def test_as_many_categories_are_named_as_it_takes_to_be_sure_and_none_where_it_is_not(
    least, most, named
) -> None:
    (intent,) = certain(0.1, 0.6, 0.3).read(
        np.ones((1, 16), dtype=np.float32), min_confidence=least, most=most
    )
    assert intent.categories == named
    assert intent.sure == bool(named)
    assert len(intent.guesses) == (len(named) or most)
    assert intent.guesses[0].category == "shoes"
    assert intent.guesses[0].confidence == pytest.approx(0.6)


def test_the_length_of_a_vector_means_nothing() -> None:
    head = learned(*planted(200, seed=1)).head
    vectors, _ = planted(10, seed=2)
    np.testing.assert_allclose(head.confidences(vectors), head.confidences(7 * vectors), rtol=1e-4)


def test_the_descent_finds_the_bottom_of_a_long_valley() -> None:
    scales = np.array([1.0, 100.0, 10_000.0])
    bottom = np.array([3.0, -2.0, 1.0])

    def valley(point):
        away = point - bottom
        return float(scales @ (away * away)), 2 * scales * away

    np.testing.assert_allclose(
        lowest(valley, np.zeros(3), steps=100, tolerance=0), bottom, atol=1e-4
    )
