"""Queries of like meaning, grouped, so that a kind of query that breaks is seen."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from desireline.connectors.documents import Vectors
from desireline.trainer.encoders.base import Encoder

_TURNS = 20


def topics_of(
    encoder: Encoder, queries: Sequence[str], *, topics: int, seed: int = 0
) -> dict[str, str]:
    """Group queries by spherical k-means (Dhillon and Modha 2001) over an encoder's vectors.

    The encoder must not be the one that is judged: a candidate has no say in who is its witness.
    Names are numbers, for a query's words may say too much of people: "topic 3 of 8".

    Args:
        encoder: which knows what is alike.
        queries: to be grouped.
        topics: how many groups; fewer where queries are few.
        seed: of the first centres.

    """
    topics = min(topics, len(queries))
    if topics < 2:  # noqa: PLR2004 - one group is all of them
        return {}
    vectors = _units(np.asarray(encoder.encode_queries(list(queries)), dtype=np.float64))
    nearest = _nearest_centre(vectors, topics, np.random.default_rng(seed))
    return {
        query: f"topic {number + 1} of {topics}"
        for query, number in zip(queries, nearest.tolist(), strict=True)
    }


def _nearest_centre(
    vectors: NDArray[np.float64], topics: int, random: np.random.Generator
) -> NDArray[np.intp]:
    centres = _first_centres(vectors, topics, random)
    nearest: NDArray[np.intp] = np.argmax(vectors @ centres.T, axis=1)
    for _ in range(_TURNS):
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, vectors)
        centres = _units(sums)
        moved = np.argmax(vectors @ centres.T, axis=1)
        if np.array_equal(moved, nearest):
            break
        nearest = moved
    return nearest


def _first_centres(
    vectors: NDArray[np.float64], topics: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Draw each centre the likelier the less it is like those before (k-means++)."""
    chosen = [int(random.integers(len(vectors)))]
    for _ in range(topics - 1):
        unlike = np.clip(1 - (vectors @ vectors[chosen].T).max(axis=1), 0.0, None)
        unlike[chosen] = 0.0
        total = unlike.sum()
        if total <= 0:
            break
        chosen.append(int(random.choice(len(vectors), p=unlike / total)))
    return vectors[chosen]


def _units(vectors: NDArray[np.float64] | Vectors) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: NDArray[np.float64] = vectors / np.where(lengths > 0, lengths, 1.0)
    return units
