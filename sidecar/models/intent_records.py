"""Which intent head serves with which encoder, and which are kept.

One record a target and encoder names the head; the heads themselves lie in the models' folder. A
head is never looked up but by the encoder whose vectors it reads.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from desireline.connectors.errors import StateConflictError
from desireline.sidecar.models.sharing import in_use
from desireline.sidecar.serving.intent import Intents
from desireline.sidecar.target import Target
from desireline.trainer.intent.storing import IntentStore

INTENT = "intent"
_FOLDER = "intent"


def store_of(models: Path, target: str) -> IntentStore:
    """Return where the heads of a target lie, beside the registry's models."""
    return IntentStore(models / _FOLDER / target)


def heads_of(target: Target) -> IntentStore:
    """Return the heads of a target."""
    return store_of(target.registry.root, target.name)


def head_for(target: Target, encoder: str) -> str | None:
    """Return the digest of the head that serves with an encoder; None where there is none."""
    record = target.store.get(INTENT, _key(target, encoder))
    return None if record is None else str(record.body["head"])


def intents_of(target: Target) -> Intents:
    """Return the heads of a target as they serve."""
    return Intents(
        target=target.name,
        config=target.config.intent,
        appointed=partial(head_for, target),
        load=lambda head: heads_of(target).load(head),
    )


def appoint(target: Target, encoder: str, head: str, **told: Any) -> None:
    """Let a head serve with its encoder from now on, in one write."""
    record = target.store.get(INTENT, _key(target, encoder))
    body = {"encoder": encoder, "head": head, "at": target.clock().isoformat(), **told}
    try:
        target.store.put(INTENT, _key(target, encoder), body, expected=record)
    except StateConflictError:
        appoint(target, encoder, head, **told)


def appointed(target: Target) -> set[str]:
    """Return the digests of the heads that serve, or may, with any encoder."""
    return {str(record.body["head"]) for record in _records(target)}


def dismiss(target: Target, head: str) -> None:
    """Let a head serve no more, and delete it."""
    _forget(target, lambda body: body["head"] == head)
    heads_of(target).remove(head)


def sweep_heads(target: Target) -> list[str]:
    """Remove heads that serve with no encoder that is registered or in use; return their digests.

    An encoder that serves may be on another machine alone.
    """
    known = {manifest.fingerprint for manifest in target.registry.list()} | in_use(target.store)
    _forget(target, lambda body: body["encoder"] not in known)
    serving = appointed(target)
    heads = heads_of(target)
    idle = [head for head in heads.list() if head not in serving]
    for head in idle:
        heads.remove(head)
    return idle


def _forget(target: Target, which: Callable[[Mapping[str, Any]], bool]) -> None:
    for record in _records(target):
        if which(record.body):
            try:
                target.store.delete(record)
            except StateConflictError:
                return _forget(target, which)
    return None


def _records(target: Target) -> list[Any]:
    prefix = _key(target, "")
    return [record for record in target.store.list(INTENT) if record.key.startswith(prefix)]


def _key(target: Target, encoder: str) -> str:
    return f"{target.name}:{encoder}"
