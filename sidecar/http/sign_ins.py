"""People who signed in on the page with an API key."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from desireline.connectors.errors import StateConflictError
from desireline.connectors.state_store import Record
from desireline.sidecar.on_request.api_keys import ApiKeys, Key

SIGN_IN = "sign_in"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """One person at one browser."""

    key: Key
    #: What the browser holds; 256 random bits, new at every sign-in.
    token: str = field(repr=False)

    @property
    def form_token(self) -> str:
        """Proof that a form came from our page; a foreign site cannot know it."""
        return hmac.new(self.token.encode(), b"desireline form", hashlib.sha256).hexdigest()

    def sent(self, form_token: str) -> bool:
        """Say whether a form carried our proof."""
        return hmac.compare_digest(self.form_token.encode(), form_token.encode())


class SignIns:
    """Sign-ins in the state store, so that every replica knows them. Methods may block.

    Only the SHA-256 of a token is stored. A sign-in ends with its time, by signing out, or as
    soon as its API key is revoked.
    """

    def __init__(
        self,
        keys: ApiKeys,
        *,
        hours: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._keys = keys
        self._store = keys.store
        self._length = timedelta(hours=hours)
        self._now = now

    def open(self, plaintext: str) -> SignIn | None:
        """Sign in with an API key; None when it is unknown. Old sign-ins are swept out."""
        key = self._keys.check(plaintext)
        if key is None:
            return None
        self._sweep()
        token = secrets.token_urlsafe(32)
        body = {"key_id": key.key_id, "ends_at": (self._now() + self._length).isoformat()}
        self._store.put(SIGN_IN, _sha256(token), body, expected=None)
        return SignIn(key=key, token=token)

    def check(self, token: str) -> SignIn | None:
        """Return the sign-in of a browser's token, or None for one unknown or over."""
        record = self._store.get(SIGN_IN, _sha256(token))
        if record is None or self._is_over(record):
            return None
        key = self._keys.get(str(record.body["key_id"]))
        return None if key is None else SignIn(key=key, token=token)

    def close(self, token: str) -> None:
        """Sign out."""
        record = self._store.get(SIGN_IN, _sha256(token))
        if record is not None:
            self._delete(record)

    def _sweep(self) -> None:
        for record in self._store.list(SIGN_IN):
            if self._is_over(record):
                self._delete(record)

    def _is_over(self, record: Record) -> bool:
        return self._now() >= datetime.fromisoformat(record.body["ends_at"])

    def _delete(self, record: Record) -> None:
        try:
            self._store.delete(record)
        except StateConflictError:  # another replica swept it first
            return


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
