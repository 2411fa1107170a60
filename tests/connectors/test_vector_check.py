"""The check of a vector knows it again and takes no other for it."""

import numpy as np
import pytest

from desireline.connectors.vector_check import checks, same_direction, same_length


def unit(count: int, dimension: int, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def test_a_vector_is_known_again_after_half_precision_and_another_length() -> None:
    vectors = unit(500, 384)
    written = checks(vectors)
    assert {len(text) for text in written} == {27}
    assert same_direction(vectors, written).all()
    assert same_length(vectors, written).all()
    assert same_direction(vectors.astype(np.float16).astype(np.float32), written).all()
    assert same_direction(vectors * 3, written).all()
    assert not same_length(vectors * 1.01, written).any()


@pytest.mark.parametrize("dimension", [2, 16, 384, 1536])
def test_no_other_vector_is_taken_for_it(dimension: int) -> None:
    vectors = unit(2000, dimension)
    others = unit(2000, dimension, seed=1)
    taken = same_direction(others, checks(vectors)).sum()
    # In two dimensions two directions lie within half a degree by chance.
    assert taken <= (20 if dimension == 2 else 0)


def test_two_numbers_that_changed_places_are_seen() -> None:
    vectors = unit(2000, 64)
    swapped = vectors.copy()
    swapped[:, [3, 7]] = swapped[:, [7, 3]]
    moved = np.abs(vectors[:, 3] - vectors[:, 7]) > 0.02
    assert moved.sum() > 1000
    assert not same_direction(swapped, checks(vectors))[moved].any()


def test_a_vector_of_zeros_has_a_check_of_its_own() -> None:
    zeros = np.zeros((1, 8), np.float32)
    assert same_direction(zeros, checks(zeros)).all()
    assert not same_direction(unit(1, 8), checks(zeros)).any()


def test_the_check_is_the_same_for_ever() -> None:
    assert checks(np.array([[3.0, 4.0, 0.0, 0.0]], np.float32)) == ["AACgQAQAG_8H_UX_ffyLASADd_8"]
