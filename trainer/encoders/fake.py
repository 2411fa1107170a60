"""An encoder without a model: deterministic hashed bags of words, for tests and dry runs."""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from desireline.connectors.documents import Vector, Vectors

if TYPE_CHECKING:
    from desireline.connectors.search_engine import Similarity


class FakeEncoder:
    """Texts that share words are similar; texts that share none are nearly orthogonal.

    Every word is a fixed random direction drawn from (word, seed), and a text is the normalised
    sum of its words. Two seeds make two spaces that have nothing to do with each other, which is
    what two trained encoders look like to everything outside the trainer.
    """

    def __init__(self, dimension: int = 32, seed: int = 0) -> None:
        self.dimension = dimension
        self.seed = seed
        self.similarity: Similarity = "cosine"
        settings = json.dumps({"dimension": dimension, "family": "fake", "seed": seed})
        self.fingerprint = hashlib.sha256(settings.encode()).hexdigest()
        self.space = self.fingerprint

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode what users typed, the same way as documents."""
        return self.encode_documents(texts)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode rendered documents; shape (len(texts), dimension)."""
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        return np.stack([self._encode(text) for text in texts])

    def _encode(self, text: str) -> Vector:
        words = text.casefold().split() or [""]
        total = np.stack([_direction(word, self.dimension, self.seed) for word in words]).sum(
            axis=0
        )
        length = float(np.linalg.norm(total)) or 1.0
        return np.asarray(total / length, dtype=np.float32)


@lru_cache(maxsize=65536)
def _direction(word: str, dimension: int, seed: int) -> Vector:
    key = hashlib.sha256(f"{seed}\x1f{word}".encode("utf-8", "surrogatepass")).digest()
    generator = np.random.default_rng(int.from_bytes(key[:8], "big"))
    return generator.standard_normal(dimension).astype(np.float32)
