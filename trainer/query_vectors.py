"""What an encoder made of queries, so that it is asked for each of them once in a cycle.

Queries are typed by people: their text is in memory alone, and the file knows digests.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from desireline.connectors.documents import Vector, Vectors
from desireline.trainer.encoders.base import Encoder
from desireline.trainer.encoders.wrapping import WrappingEncoder
from desireline.trainer.errors import QueryVectorsError

_ENCODER, _DIGESTS, _VECTORS = "encoder", "digests", "vectors"
_DIGEST_BYTES = 32
#: How far from 1 the length of a unit vector may be.
_OFF = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryVectors:
    """Queries, known by their digests, and what one encoder made of them."""

    #: Fingerprint of the encoder.
    encoder: str
    #: SHA-256 of each query.
    digests: tuple[bytes, ...]
    #: Shape (queries, dimension).
    vectors: Vectors

    @classmethod
    def of(cls, encoder: str, queries: Sequence[str], vectors: Vectors) -> "QueryVectors":
        """Bind vectors to their queries and to the encoder of this fingerprint."""
        return cls(encoder=encoder, digests=tuple(map(_digest, queries)), vectors=vectors)

    def write(self, path: Path) -> None:
        """Write what `read` reads. Raises QueryVectorsError if the disk does not take it."""
        digests = np.frombuffer(b"".join(self.digests), dtype=np.uint8)
        try:
            save_file(
                {
                    _DIGESTS: digests.reshape(-1, _DIGEST_BYTES).copy(),
                    _VECTORS: np.ascontiguousarray(self.vectors, dtype=np.float32),
                },
                path,
                metadata={_ENCODER: self.encoder},
            )
        except (OSError, SafetensorError) as error:
            raise QueryVectorsError(
                f"the queries' vectors cannot be written to {path}: {error}; nothing was trained",
                next_step="make room there",
            ) from error

    @classmethod
    def read(cls, path: Path, *, encoder: str, dimension: int, unit: bool) -> "QueryVectors":
        """Read a file written by `write`, if it is surely what this encoder would make.

        Args:
            path: the file.
            encoder: fingerprint of the encoder that is asked otherwise.
            dimension: of its vectors.
            unit: whether they are of length 1, or 0 where no word was known.

        Raises:
            QueryVectorsError: they are of another encoder or shape, are no numbers, or cannot be
                read.

        """
        try:
            with safe_open(path, framework="numpy") as file:
                maker = (file.metadata() or {}).get(_ENCODER)
                digests = file.get_tensor(_DIGESTS)
                vectors: Vectors = file.get_tensor(_VECTORS)
        except (OSError, SafetensorError) as error:
            raise _unfit(path, f"cannot be read: {error}") from error
        if maker != encoder:
            raise _unfit(path, f"were made by encoder {str(maker)[:12]}, not {encoder[:12]}")
        fits = vectors.dtype == np.float32 and vectors.shape == (len(digests), dimension)
        if not fits or digests.dtype != np.uint8 or digests.shape[1:] != (_DIGEST_BYTES,):
            raise _unfit(
                path,
                f"are {vectors.dtype} of shape {vectors.shape} for {len(digests)} queries, not"
                f" float32 of {dimension} numbers each",
            )
        if not np.isfinite(vectors).all():
            raise _unfit(path, "hold what is no finite number")
        lengths = np.linalg.norm(vectors, axis=1)
        if unit and ((np.abs(lengths - 1) > _OFF) & (lengths > 0)).any():
            raise _unfit(path, "are not all of length 1")
        return cls(
            encoder=encoder, digests=tuple(row.tobytes() for row in digests), vectors=vectors
        )

    def complete(
        self, queries: Sequence[str], encode: Callable[[Sequence[str]], Vectors]
    ) -> Vectors:
        """Return the vectors of all queries, shape (queries, dimension); encode what is missing."""
        known = dict(zip(self.digests, range(len(self.digests)), strict=True))
        rows = np.array([known.get(_digest(query), -1) for query in queries], dtype=np.intp)
        vectors = np.empty((len(queries), self.vectors.shape[1]), dtype=np.float32)
        found = rows >= 0
        vectors[found] = self.vectors[rows[found]]
        missing = np.flatnonzero(~found)
        if len(missing):
            vectors[missing] = encode([queries[row] for row in missing.tolist()])
        return vectors


class RememberingEncoder(WrappingEncoder):
    """An encoder that is asked for each query once; documents go through as they are."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self._known: dict[str, Vector] = {}

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode the queries that were not asked for before; shape (len(texts), dimension)."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        if fresh:
            self._known.update(zip(fresh, self._encoder.encode_queries(fresh), strict=True))
        return self._stacked([self._known[text] for text in texts])

    def remembered(self, queries: Sequence[str]) -> QueryVectors:
        """Return what is known of some queries; those never asked for are left out."""
        known = [query for query in dict.fromkeys(queries) if query in self._known]
        vectors = self._stacked([self._known[query] for query in known])
        return QueryVectors.of(self.fingerprint, known, vectors)

    def _stacked(self, vectors: Sequence[Vector]) -> Vectors:
        return np.stack(vectors) if vectors else np.empty((0, self.dimension), dtype=np.float32)


def _digest(query: str) -> bytes:
    return sha256(query.encode("utf-8", "surrogatepass")).digest()


def _unfit(path: Path, reason: str) -> QueryVectorsError:
    return QueryVectorsError(f"the queries' vectors in {path} {reason}; none of them was taken")
