"""What a caller asks for twice under one key is done once and answered the same (invariant 35)."""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from desireline.connectors.errors import DesirelineError, StateConflictError
from desireline.connectors.state_store import Record, StateStore
from desireline.sidecar.errors import SidecarError

REQUEST = "request"
#: Answers are kept this long; the key may then be used for something else.
KEPT = timedelta(hours=24)


class KeyReusedError(SidecarError):
    """The idempotency key was used for another request; nothing was done."""


class Once:
    """Answers by key, kept in a state store."""

    def __init__(self, store: StateStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def answer(self, key: str, request: Mapping[str, Any], work: Callable[[], str]) -> str:
        """Do the work unless this key was answered before; return its sentence.

        What raises is not kept: the caller may try again under the same key.

        Args:
            key: whatever the caller chose; callers are told apart by whoever makes the key.
            request: what was asked; the same key with another request is refused.
            work: done at most once.

        Raises:
            KeyReusedError: the key stands for another request.

        """
        name, digest = _digest(key), _digest(json.dumps(dict(request), sort_keys=True))
        claimed = self._claim(name, digest)
        if isinstance(claimed, str):
            return claimed
        try:
            sentence = work()
        except DesirelineError:
            self._store.delete(claimed)
            raise
        self._store.put(REQUEST, name, {**claimed.body, "sentence": sentence}, expected=claimed)
        return sentence

    def _claim(self, name: str, digest: str) -> Record | str:
        """Return the record that is now ours to fill, or the answer that was given before."""
        self._forget_old()
        found = self._store.get(REQUEST, name)
        if found is None:
            body = {"request": digest, "sentence": None, "at": self._clock().isoformat()}
            try:
                return self._store.put(REQUEST, name, body, expected=None)
            except StateConflictError:
                found = self._store.get(REQUEST, name)
        if found is not None and found.body["request"] != digest:
            raise KeyReusedError(
                "this Idempotency-Key was used for another request; nothing was done",
                next_step="choose a new key for a new request",
            )
        said = None if found is None else found.body["sentence"]
        return str(said or "this was asked for already under the same key and is being begun")

    def _forget_old(self) -> None:
        oldest = self._clock() - KEPT
        for record in self._store.list(REQUEST):
            if datetime.fromisoformat(record.body["at"]) < oldest:
                try:
                    self._store.delete(record)
                except StateConflictError:
                    continue


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
