"""A sample of documents encoded again: the one proof that does not believe what is stored.

The sample is one document, drawn at random, out of each run of equally many in the order of the
enumeration, so it is spread over all ids and thereby over all shards. It goes through the encoder
itself, never through the embedding cache, whose mistakes would agree with themselves.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from desireline.connectors.documents import Document, TextTemplate, Vector, Vectors
from desireline.sidecar.proof.verification import Difference, Kind, Reencoded
from desireline.trainer.encoders.base import Encoder

#: Vectors further apart than this, as 1 - cosine, are not of one encoder, whatever its noise.
_LEAST_TOLERANCE = 1e-3
#: An encoder that rounds gives a text another vector in other company; so many times its noise.
_TIMES_NOISE = 4.0
_NOISE_TEXTS = 16
_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How many documents are encoded again, by whom, and which."""

    encoder: Encoder
    size: int
    #: Same seed and same documents, same sample.
    seed: int = 0


class Draw:
    """Draws one document out of each run of `total / size`; with a size of 0, none."""

    def __init__(self, *, size: int, seed: int, total: int) -> None:
        self._run = max(1, total // size) if size else 0
        self._chance = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
        self._next = self._chance.randrange(self._run) if self._run else -1
        self._start = self._seen = 0

    def of(self, documents: Iterable[Document]) -> list[Document]:
        """Return those of the next documents that are drawn."""
        drawn = []
        for document in documents:
            if self._seen == self._next:
                drawn.append(document)
                self._start += self._run
                self._next = self._start + self._chance.randrange(self._run)
            self._seen += 1
        return drawn


class Reencoder:
    """Compares stored vectors with what the encoder gives for the text beside them."""

    def __init__(self, encoder: Encoder, template: TextTemplate, slot: str) -> None:
        self._encoder = encoder
        self._template = template
        self._slot = slot
        self._documents = 0
        self._furthest = 0.0
        self._tolerance = 0.0

    @property
    def report(self) -> Reencoded:
        """What was seen so far."""
        return Reencoded(
            documents=self._documents,
            furthest=round(self._furthest, 6),
            tolerance=round(self._tolerance, 6),
        )

    def differences(self, documents: Sequence[Document]) -> list[Difference]:
        """Compare these documents; those without a text or a vector are passed over."""
        found = []
        pairs = list(self._pairs(documents))
        for start in range(0, len(pairs), _BATCH):
            found += self._compare(pairs[start : start + _BATCH])
        return found

    def _pairs(self, documents: Iterable[Document]) -> Iterable[tuple[Document, str, Vector]]:
        for document in documents:
            text = self._template.render(document.fields)
            vector = document.embeddings.get(self._slot)
            if text and vector is not None and vector.shape == (self._encoder.dimension,):
                yield document, text, vector

    def _compare(self, pairs: Sequence[tuple[Document, str, Vector]]) -> list[Difference]:
        texts = [text for _, text, _ in pairs]
        fresh = self._encoder.encode_documents(texts)
        if not self._tolerance:
            self._tolerance = tolerance_of(self._encoder, texts, fresh)
        apart = distances(np.stack([vector for _, _, vector in pairs]), fresh)
        self._documents += len(pairs)
        self._furthest = max(self._furthest, float(apart.max()))
        return [
            Difference(
                document_id=document.document_id,
                routing=document.routing,
                kind=Kind.OTHER_ENCODER,
                detail=f"cosine {1 - distance:.3f}",
            )
            for (document, _, _), distance in zip(pairs, apart, strict=True)
            if distance > self._tolerance
        ]


def tolerance_of(encoder: Encoder, texts: Sequence[str], together: Vectors) -> float:
    """Return the distance up to which two vectors of one text are the same.

    `together` are the texts' vectors as encoded in one call; some are encoded again alone.
    """
    some = texts[:_NOISE_TEXTS]
    alone = np.concatenate([encoder.encode_documents([text]) for text in some])
    noise = float(distances(alone, together[: len(some)]).max())
    return max(_LEAST_TOLERANCE, _TIMES_NOISE * noise)


def distances(vectors: Vectors, others: Vectors) -> np.ndarray:
    """Return 1 - cosine, row by row; two vectors of zeros are the same."""
    left, right = np.asarray(vectors, np.float64), np.asarray(others, np.float64)
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    products = np.einsum("ij,ij->i", left, right)
    cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    both_empty = (np.abs(left).sum(axis=1) == 0) & (np.abs(right).sum(axis=1) == 0)
    return np.asarray(np.where(both_empty, 0.0, np.maximum(0.0, 1 - cosines)))
