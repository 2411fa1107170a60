"""Exact nearest neighbours: every vector is compared, and only those that fit."""

import numpy as np

from desireline.connectors.documents import Vector, Vectors
from desireline.connectors.errors import MappingConflictError
from desireline.connectors.search_engine import Similarity, Slot


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


def unfit(vector: Vector | None, slot: Slot) -> str:
    """Say why the slot can never hold this vector; empty when it can."""
    if vector is None:
        return ""
    if vector.shape != (slot.dimension,):
        return f"the vector has shape {vector.shape}, {slot.name} holds {slot.dimension} dimensions"
    if not np.isfinite(vector).all():
        return "the vector holds a number that is not finite"
    if slot.similarity == "cosine" and not vector.any():
        return "a vector of zeros has no direction, so cosine cannot compare it"
    return ""


def require_fit(query: Vector, slot: Slot) -> None:
    """Refuse a query vector of another space. Raises MappingConflictError."""
    reason = unfit(query, slot)
    if reason:
        raise MappingConflictError(
            f"the slot {slot.name!r} cannot be searched with this query: {reason}",
            next_step="encode the query with the encoder of the generation in this slot",
        )
