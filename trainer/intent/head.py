"""What a query means, in categories of the index, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from desireline.connectors.documents import Vector, Vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """One category and the probability that it is the one which is meant."""

    category: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What one query means.

    Of a sure one the guesses are the fewest categories that are together right with the
    confidence that was asked for. Of an unsure one they are the likeliest, for whoever is curious.
    """

    guesses: tuple[Guess, ...]
    sure: bool

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories, likeliest first; empty where the head abstains."""
        return tuple(guess.category for guess in self.guesses) if self.sure else ()

    @property
    def confidence(self) -> float:
        """How likely one of the guesses is right."""
        return sum(guess.confidence for guess in self.guesses)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentHead:
    """A linear map of one encoder's query vectors to categories, with a temperature.

    It means nothing to the vectors of any other encoder, so it names its own.
    """

    #: Fingerprint of the encoder whose query vectors it reads.
    encoder: str
    categories: tuple[str, ...]
    #: Shape (dimension, categories).
    weights: Vectors
    #: Shape (categories,).
    bias: Vector
    #: By which scores are divided so that confidences are true on average (Guo et al. 2017).
    temperature: float

    def confidences(self, vectors: Vectors) -> Vectors:
        """Return the probability of each category, shape (vectors, categories)."""
        scores = directions(vectors) @ self.weights + self.bias
        return probabilities(scores / np.float32(self.temperature))

    def read(self, vectors: Vectors, *, min_confidence: float, most: int) -> list[Intent]:
        """Say what each query means.

        Args:
            vectors: of queries, by the encoder of the head.
            min_confidence: the head abstains where `most` categories are not as likely together.
            most: categories named for one query.

        """
        rows = self.confidences(vectors)
        return [_intent(self.categories, row, min_confidence, most) for row in rows]


def directions(vectors: Vectors) -> Vectors:
    """Return the vectors at length 1: what a query means lies in its direction."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.float32(1e-9)), dtype=np.float32)


def probabilities(scores: Vectors) -> Vectors:
    """Return the softmax of each row."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _intent(categories: Sequence[str], row: Vector, min_confidence: float, most: int) -> Intent:
    best = np.argsort(-row, kind="stable")[:most]
    together = np.cumsum(row[best])
    reached = np.flatnonzero(together >= min_confidence)
    named = best[: reached[0] + 1] if reached.size else best
    return Intent(
        guesses=tuple(
            Guess(category=categories[column], confidence=float(row[column])) for column in named
        ),
        sure=bool(reached.size),
    )
