"""What a large encoder makes of words and of texts, each read once."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from desireline.connectors.documents import Vectors
from desireline.trainer.compact.vocabulary import Vocabulary, words_of
from desireline.trainer.encoders.onnx import OnnxEncoder
from desireline.trainer.model_settings import TOKENIZER

#: A word as frequent as this share of all words counts half (Arora et al. 2017).
_COMMON = 1e-3


class Teacher:
    """A registered encoder, asked by whoever learns from it."""

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        self._encoder = OnnxEncoder(folder, threads=threads)
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self.dimension = self._encoder.dimension

    @property
    def words(self) -> list[str]:
        """Whole words that it knows."""
        return words_of(self._tokenizer)

    def queries(self, texts: Iterable[str]) -> dict[str, Vectors]:
        """Return the unit vector of each text, read as a query."""
        distinct = list(dict.fromkeys(texts))
        return dict(zip(distinct, _unit(self._encoder.encode_queries(distinct)), strict=True))

    def documents(self, texts: Iterable[str]) -> dict[str, Vectors]:
        """Return the unit vector of each text, read as a document."""
        distinct = list(dict.fromkeys(texts))
        return dict(zip(distinct, _unit(self._encoder.encode_documents(distinct)), strict=True))

    def word_vectors(self, vocabulary: Vocabulary, width: int) -> Vectors:
        """Return each token's vector, frequent ones shorter, along the main directions.

        Shape (tokens, width), or as many numbers as the teacher has, if that is fewer. A special
        token has none. What all words share is taken off: it tells nothing apart.
        """
        told = self.queries(vocabulary.readable)
        vectors = np.stack([told[word] for word in vocabulary.readable])
        spoken = np.array([bool(word) for word in vocabulary.readable])
        vectors = (vectors - vectors[spoken].mean(axis=0)) * spoken[:, None]
        directions = _main_directions(vectors, width)
        shorter = vectors @ directions.T * _rarity(vocabulary.counts)[:, None]
        return np.asarray(shorter, dtype=np.float32)


def _rarity(counts: Sequence[int]) -> Vectors:
    share = np.asarray(counts, dtype=np.float64) / sum(counts)
    return np.asarray(_COMMON / (_COMMON + share), dtype=np.float32)


def _main_directions(vectors: Vectors, width: int) -> Vectors:
    """Return the principal directions, each with its largest number above zero."""
    if width >= vectors.shape[1]:
        return np.eye(vectors.shape[1], dtype=np.float32)
    _, found = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors)
    rows = found.T[::-1][:width]
    largest = np.abs(rows).argmax(axis=1)
    return np.asarray(rows * np.sign(rows[np.arange(width), largest])[:, None], dtype=np.float32)


def _unit(vectors: Vectors) -> Vectors:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length == 0, 1, length), dtype=np.float32)
