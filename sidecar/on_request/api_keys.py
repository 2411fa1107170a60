"""API keys: who may ask what of the sidecar.

A key reads ``dl_<id>_<secret>`` with a secret of 256 random bits. The store holds the SHA-256
of the whole key, never the key; a fast hash is enough because nobody can guess 256 bits.
Which route needs which scope is told in `desireline.sidecar.http`.
"""

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from desireline.connectors.errors import StateConflictError
from desireline.connectors.state_store import Record, StateStore
from desireline.sidecar.errors import SidecarError

API_KEY = "api_key"

_PREFIX = "dl"
_PARTS = 3
_CACHED_KEYS = 1024


class Scope(StrEnum):
    """What a key opens."""

    #: Turn texts into vectors.
    EMBED = "embed"
    #: Search an index through the sidecar.
    SEARCH = "search"
    #: See targets, generations and cycles.
    READ = "read"
    #: Start a cycle, revert; opens everything else too.
    ADMIN = "admin"


class ApiKeyError(SidecarError):
    """An API key cannot be made or found as asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What the store knows of one key; not enough to use it."""

    key_id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime

    def allows(self, scope: Scope) -> bool:
        """Say whether the key opens what the scope guards."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class ApiKeys:
    """The keys in a state store. Threads may share one.

    `check` remembers its answers for `remember_s` seconds, so that a store on a cluster is not
    asked at every request; a key revoked by another process works that much longer.
    """

    def __init__(
        self,
        store: StateStore,
        *,
        remember_s: float = 5.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self._remember_s = remember_s
        self._now = now
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Key | None, float]] = {}

    def create(self, name: str, scopes: Iterable[str]) -> str:
        """Make a key and return it; this is the only time it can be read.

        Raises:
            ApiKeyError: no name, no scope, or a scope that does not exist.

        """
        wanted = _scopes(name, scopes)
        key_id = secrets.token_hex(8)
        plaintext = f"{_PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
        body = {
            "name": name.strip(),
            "scopes": sorted(wanted),
            "sha256": _sha256(plaintext),
            "created_at": self._now().isoformat(),
        }
        self.store.put(API_KEY, key_id, body, expected=None)
        return plaintext

    def check(self, plaintext: str) -> Key | None:
        """Return the key that this is, or None for one unknown or revoked. May block."""
        digest = _sha256(plaintext)
        found, key = self.remembered(plaintext)
        if not found:
            key = self._look_up(plaintext, digest)
            self._remember(digest, key)
        return key

    def remembered(self, plaintext: str) -> tuple[bool, Key | None]:
        """Return (True, answer) where a recent `check` knows it; never blocks."""
        with self._lock:
            key, until = self._known.get(_sha256(plaintext), (None, float("-inf")))
        return self._monotonic() < until, key

    def get(self, key_id: str) -> Key | None:
        """Return the key of this id, or None."""
        record = self.store.get(API_KEY, key_id)
        return None if record is None else _key(record)

    def list(self) -> list[Key]:
        """Return every key, oldest first."""
        keys = map(_key, self.store.list(API_KEY))
        return sorted(keys, key=lambda key: (key.created_at, key.key_id))

    def revoke(self, key_id: str) -> bool:
        """Delete the key; False when there is none of this id."""
        record = self.store.get(API_KEY, key_id)
        if record is None:
            return False
        try:
            self.store.delete(record)
        except StateConflictError:
            return self.revoke(key_id)
        with self._lock:
            self._known.clear()
        return True

    def _look_up(self, plaintext: str, digest: str) -> Key | None:
        parts = plaintext.split("_", _PARTS - 1)
        if len(parts) != _PARTS or parts[0] != _PREFIX or not parts[1].isalnum():
            return None
        record = self.store.get(API_KEY, parts[1])
        if record is None or not hmac.compare_digest(str(record.body["sha256"]), digest):
            return None
        return _key(record)

    def _remember(self, digest: str, key: Key | None) -> None:
        with self._lock:
            if len(self._known) >= _CACHED_KEYS:
                self._known.clear()
            self._known[digest] = (key, self._monotonic() + self._remember_s)


def _scopes(name: str, scopes: Iterable[str]) -> frozenset[Scope]:
    asked = list(scopes)
    unknown = sorted(set(asked) - set(Scope))
    if not name.strip() or not asked or unknown:
        wrong = f"the scopes {', '.join(unknown)} do not exist" if unknown else "it lacks a name"
        if name.strip() and not asked:
            wrong = "it opens nothing"
        raise ApiKeyError(
            f"no API key was made: {wrong}",
            next_step=f"give it a name and some of the scopes {', '.join(Scope)}",
        )
    return frozenset(map(Scope, asked))


def _key(record: Record) -> Key:
    return Key(
        key_id=record.key,
        name=str(record.body["name"]),
        scopes=frozenset(map(Scope, record.body["scopes"])),
        created_at=datetime.fromisoformat(record.body["created_at"]),
    )


def _sha256(plaintext: str) -> str:
    return hashlib.sha256(plaintext.encode("utf-8", "surrogatepass")).hexdigest()
