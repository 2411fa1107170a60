"""How near another form of an encoder is to the encoder: by vectors, and by what they find."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from desireline.connectors.documents import Vectors
from desireline.trainer.encoders.base import Encoder

#: Answers that are compared.
DEPTH = 10
#: Of the cosines, this percentile counts: one strange text is no reason, one in a hundred is.
_PERCENTILE = 1
#: Scores that differ by less, relative to the highest, are equal: their order means nothing.
_TIE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """One form of an encoder against the form it was made from, on the same texts."""

    documents: int
    queries: int
    #: Between the two vectors of a text; 99 of 100 texts lie at this or above.
    cosine: float
    #: Mean share of the first ten answers that the other form finds among its first ten.
    overlap: float

    @property
    def sentence(self) -> str:
        """Say both figures in one line."""
        return (
            f"cosine {self.cosine:.4f} or more for 99 of 100 texts, {self.overlap:.1%} of the first"
            f" {DEPTH} answers the same ({self.queries:,} queries, {self.documents:,} documents)"
        )

    def falls_short(self, *, cosine: float, overlap: float) -> str:
        """Say which figure is below what is asked, and by what; empty where none is."""
        wrong = [
            f"{name} {value:.4f} is below {least:g}"
            for name, value, least in (
                ("the cosine", self.cosine, cosine),
                (f"the overlap of the first {DEPTH}", self.overlap, overlap),
            )
            if not value >= least  # what is no number falls short
        ]
        return " and ".join(wrong)


def compare(
    exact: Encoder, other: Encoder, documents: Mapping[str, str], queries: Sequence[str]
) -> Parity:
    """Encode the same texts by both, and compare vectors and answers.

    Args:
        exact: the encoder.
        other: the form of it.
        documents: rendered inputs by document_id; empty ones are left out.
        queries: what users typed.

    """
    texts = [text for text in documents.values() if text]
    if not texts or not queries:
        raise ValueError("there is nothing to compare two encoders by")
    documents_of = (exact.encode_documents(texts), other.encode_documents(texts))
    queries_of = (exact.encode_queries(list(queries)), other.encode_queries(list(queries)))
    cosines = np.concatenate([cosines_of(*documents_of), cosines_of(*queries_of)])
    return Parity(
        documents=len(texts),
        queries=len(queries),
        cosine=float(np.percentile(cosines, _PERCENTILE)),
        overlap=overlap(queries_of[0] @ documents_of[0].T, queries_of[1] @ documents_of[1].T),
    )


def cosines_of(left: Vectors, right: Vectors) -> Vectors:
    """Cosine of each row with its counterpart; 1 where both are zero."""
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    both_zero = ~left.any(axis=1) & ~right.any(axis=1)
    cosines = (left * right).sum(axis=1) / np.where(lengths == 0, 1, lengths)
    return np.where(both_zero, 1, cosines).astype(np.float32)


def overlap(exact: Vectors, other: Vectors) -> float:
    """Return the mean share of the first ten answers kept, of scores (queries, documents)."""
    tie = _TIE * max(1.0, float(np.abs(exact).max()))
    depth = min(DEPTH, exact.shape[1])
    kept = []
    for row, theirs in zip(exact, other, strict=True):
        tenth = np.partition(row, -depth)[-depth]
        found = np.argpartition(theirs, -depth)[-depth:]
        kept.append(float((row[found] >= tenth - tie).mean()))
    return float(np.mean(kept))
