"""Vectors by (fingerprint, digest of the input): what was encoded once is never encoded again."""

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from desireline.connectors.documents import Vector, Vectors, digest
from desireline.connectors.search_engine import Similarity
from desireline.sidecar.errors import SidecarError
from desireline.trainer.encoders.base import Encoder

_DTYPE: DTypeLike = np.dtype("<f4")


class EmbeddingCache:
    """A folder with one SQLite file per fingerprint. Safe across threads and processes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()

    def get(self, fingerprint: str, digests: Sequence[str]) -> dict[str, Vector]:
        """Return the vectors that are there, by digest."""
        found: dict[str, Vector] = {}
        with self._lock, closing(self._open(fingerprint)) as db:
            for start in range(0, len(digests), 500):
                some = digests[start : start + 500]
                marks = ",".join("?" * len(some))
                rows = db.execute(
                    f"SELECT digest, vector FROM vectors WHERE digest IN ({marks})",  # noqa: S608 - only marks
                    list(some),
                )
                found |= {key: np.frombuffer(blob, dtype=_DTYPE) for key, blob in rows}
        return found

    def put(self, fingerprint: str, vectors: Mapping[str, Vector]) -> None:
        """Keep vectors. Raises SidecarError when the disk is full; nothing else is lost."""
        rows = [(key, np.asarray(v, dtype=_DTYPE).tobytes()) for key, v in vectors.items()]
        try:
            with self._lock, closing(self._open(fingerprint)) as db, db:
                db.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
        except sqlite3.OperationalError as error:
            raise SidecarError(
                f"the embedding cache in {self._root} cannot be written: {error};"
                " the index and what serves are unchanged",
                next_step="free some disk, then run the command again: it resumes",
            ) from error

    def forget(self, fingerprint: str) -> None:
        """Delete the vectors of an encoder that will not serve again."""
        for path in self._root.glob(f"{fingerprint}.sqlite*"):
            path.unlink(missing_ok=True)

    def _open(self, fingerprint: str) -> sqlite3.Connection:
        self._root.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._root / f"{fingerprint}.sqlite", timeout=30)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(
            "CREATE TABLE IF NOT EXISTS vectors (digest TEXT PRIMARY KEY, vector BLOB)"
            " WITHOUT ROWID"
        )
        return db


class CachedEncoder:
    """An encoder whose documents go through the cache. Equal inputs are encoded once."""

    def __init__(self, encoder: Encoder, cache: EmbeddingCache) -> None:
        self._encoder = encoder
        self._cache = cache
        #: Inputs encoded since this object was made.
        self.encoded = 0
        #: Seconds in the encoder alone.
        self.encoding_s = 0.0

    @property
    def fingerprint(self) -> str:
        """The encoder's own."""
        return self._encoder.fingerprint

    @property
    def dimension(self) -> int:
        """The encoder's own."""
        return self._encoder.dimension

    @property
    def similarity(self) -> Similarity:
        """The encoder's own."""
        return self._encoder.similarity

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode queries; these are not kept."""
        return self._encoder.encode_queries(texts)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode documents, shape (len(texts), dimension)."""
        by_digest = self.embed(texts)
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row] = by_digest[digest(text)]
        return vectors

    def embed(self, texts: Sequence[str]) -> dict[str, Vector]:
        """Return one vector for each distinct text, by its digest."""
        by_digest = {digest(text): text for text in texts}
        found = self._cache.get(self.fingerprint, list(by_digest))
        missing = [key for key in by_digest if key not in found]
        if missing:
            began = time.monotonic()
            vectors = self._encoder.encode_documents([by_digest[key] for key in missing])
            self.encoding_s += time.monotonic() - began
            fresh = dict(zip(missing, vectors, strict=True))
            self._cache.put(self.fingerprint, fresh)
            self.encoded += len(missing)
            found |= fresh
        return found
