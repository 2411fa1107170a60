"""Vectors by (space, digest of the input): what was encoded once is never encoded again."""

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from desireline.connectors.documents import Vector, Vectors, digest
from desireline.sidecar.errors import SidecarError
from desireline.trainer.encoders.base import CountingEncoder, Encoder
from desireline.trainer.encoders.wrapping import WrappingEncoder

_DTYPE: DTypeLike = np.dtype("<f4")


class EmbeddingCache:
    """A folder with one SQLite file per fingerprint. Safe across threads and processes.

    A file stays open between calls, as opening it costs more than a small read; it is opened
    again when somebody has deleted it meanwhile, which anybody may.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._open: dict[str, _OpenFile] = {}

    def get(self, fingerprint: str, digests: Sequence[str]) -> dict[str, Vector]:
        """Return the vectors that are there, by digest. Raises SidecarError as `put` does."""
        found: dict[str, Vector] = {}
        with self._at(fingerprint) as db:
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
        with self._at(fingerprint) as db:
            db.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)

    def forget(self, fingerprint: str) -> None:
        """Delete the vectors of an encoder that will not serve again."""
        with self._lock:
            self._let_go(fingerprint)
            for path in self._root.glob(f"{fingerprint}.sqlite*"):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close every file; a later call opens what it needs."""
        with self._lock:
            for fingerprint in list(self._open):
                self._let_go(fingerprint)

    @contextmanager
    def _at(self, fingerprint: str) -> Iterator[sqlite3.Connection]:
        """Lend the encoder's file for one transaction."""
        try:
            with self._lock, self._file(fingerprint) as db:
                yield db
        except (sqlite3.OperationalError, OSError) as error:
            raise SidecarError(
                f"the embedding cache in {self._root} cannot be used: {error};"
                " the index and what serves are unchanged",
                next_step="free some disk or mend the folder, then run the command again: it"
                " resumes",
            ) from error

    def _file(self, fingerprint: str) -> sqlite3.Connection:
        """Return the open file that lies there now."""
        path = self._root / f"{fingerprint}.sqlite"
        held = self._open.get(fingerprint)
        if held is not None and held.inode == _inode(path):
            return held.connection
        self._let_go(fingerprint)
        connection = _opened(path)
        self._open[fingerprint] = _OpenFile(connection=connection, inode=_inode(path))
        return connection

    def _let_go(self, fingerprint: str) -> None:
        held = self._open.pop(fingerprint, None)
        if held is not None:
            held.connection.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _OpenFile:
    connection: sqlite3.Connection
    #: Which file it is, whatever lies at its path by now.
    inode: int | None


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The lock of the cache keeps threads apart, so that one connection serves them all.
    db = sqlite3.connect(path, timeout=30, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(
            "CREATE TABLE IF NOT EXISTS vectors (digest TEXT PRIMARY KEY, vector BLOB)"
            " WITHOUT ROWID"
        )
    except BaseException:
        db.close()
        raise
    return db


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingCosts:
    """What it took to get vectors."""

    #: Inputs that went through the encoder.
    encoded: int = 0
    #: Seconds in the encoder, its tokeniser included.
    encoding_s: float = 0.0
    tokenise_s: float = 0.0
    #: Seconds in the cache.
    cache_s: float = 0.0

    def __sub__(self, before: "EncodingCosts") -> "EncodingCosts":
        """Return what it took since."""
        return EncodingCosts(
            encoded=self.encoded - before.encoded,
            encoding_s=self.encoding_s - before.encoding_s,
            tokenise_s=self.tokenise_s - before.tokenise_s,
            cache_s=self.cache_s - before.cache_s,
        )


class CachedEncoder(WrappingEncoder):
    """An encoder whose documents go through the cache, by its space. Equal inputs are encoded once.

    Queries are not kept.
    """

    def __init__(self, encoder: Encoder, cache: EmbeddingCache) -> None:
        super().__init__(encoder)
        self._cache = cache
        #: Since this object was made.
        self.costs = EncodingCosts()

    @property
    def encoded(self) -> int:
        """Inputs encoded since this object was made."""
        return self.costs.encoded

    @property
    def encoding_s(self) -> float:
        """Seconds in the encoder alone."""
        return self.costs.encoding_s

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode documents, shape (len(texts), dimension)."""
        by_digest = self.embed(texts)
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row] = by_digest[digest(text)]
        return vectors

    def embed(self, texts: Sequence[str]) -> dict[str, Vector]:
        """Return one vector for each distinct text, by its digest."""
        began = time.monotonic()
        by_digest = {digest(text): text for text in texts}
        found = self._cache.get(self.space, list(by_digest))
        missing = [key for key in by_digest if key not in found]
        tokenised_s = self._tokenise_s()
        looked = time.monotonic()
        encoded = looked
        if missing:
            vectors = self._encoder.encode_documents([by_digest[key] for key in missing])
            encoded = time.monotonic()
            fresh = dict(zip(missing, vectors, strict=True))
            self._cache.put(self.space, fresh)
            found |= fresh
        self.costs = EncodingCosts(
            encoded=self.costs.encoded + len(missing),
            encoding_s=self.costs.encoding_s + encoded - looked,
            tokenise_s=self.costs.tokenise_s + self._tokenise_s() - tokenised_s,
            cache_s=self.costs.cache_s + looked - began + time.monotonic() - encoded,
        )
        return found

    def _tokenise_s(self) -> float:
        encoder = self._encoder
        return encoder.stats.tokenise_s if isinstance(encoder, CountingEncoder) else 0.0
