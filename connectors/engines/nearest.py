"""Exact nearest neighbours: every vector is compared."""

import numpy as np

from desireline.connectors.documents import Vector, Vectors
from desireline.connectors.search_engine import Similarity


def nearest(
    vectors: Vectors, query: Vector, similarity: Similarity, k: int
) -> list[tuple[int, float]]:
    """Return the k best rows and their cosine or dot product; ties go to the earlier row."""
    query = np.asarray(query, dtype=np.float32)
    scores: Vector = vectors @ query
    if similarity == "cosine":
        lengths: Vector = np.sqrt(np.einsum("ij,ij->i", vectors, vectors) * (query @ query))
        scores /= np.where(lengths > 0, lengths, 1)
    if k < len(scores):
        cut = np.partition(-scores, k - 1)[k - 1] if k > 0 else -np.inf
        rows = np.flatnonzero(-scores <= cut)
    else:
        rows = np.arange(len(scores))
    ranked = rows[np.argsort(-scores[rows], kind="stable")][:k]
    return [(int(row), float(scores[row])) for row in ranked]
