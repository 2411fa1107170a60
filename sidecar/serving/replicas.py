"""Other sidecars that serve a target: they load the next encoder before the swap and say so."""

import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from desireline.connectors.errors import StateConflictError
from desireline.connectors.state_store import StateStore

REPLICA = "replica"

#: A replica that shows no life for so long while it is waited for is taken for dead.
_SILENCE_S = 3.0


def announce(store: StateStore, target: str, loaded: Sequence[str]) -> None:
    """Show life and say which encoders this process has in memory. Call about every second."""
    key = f"{target}:{socket.gethostname()}:{os.getpid()}"
    record = store.get(REPLICA, key)
    beat = int(record.body["beat"]) + 1 if record else 0
    with suppress(StateConflictError):  # the cut-over removed us as dead; the next beat is new
        store.put(REPLICA, key, {"loaded": list(loaded), "beat": beat}, expected=record)


def depart(store: StateStore, target: str) -> None:
    """Say that this process serves no more."""
    record = store.get(REPLICA, f"{target}:{socket.gethostname()}:{os.getpid()}")
    if record is not None:
        with suppress(StateConflictError):
            store.delete(record)


def wait_for_replicas(
    store: StateStore,
    target: str,
    fingerprint: str,
    *,
    limit_s: float,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> str:
    """Wait until every living replica has loaded the encoder; return a sentence.

    Replicas that show no life are forgotten. At the limit the swap goes on: a late replica
    answers by the retained generation until it has loaded.
    """
    began = monotonic()
    seen: dict[str, tuple[str, float]] = {}
    while True:
        now = monotonic()
        ready = waiting = 0
        records = [r for r in store.list(REPLICA) if r.key.startswith(f"{target}:")]
        for record in records:
            version, since = seen.get(record.key, ("", now))
            if version != record.version:
                since = now
            seen[record.key] = (record.version, since)
            if fingerprint in record.body["loaded"]:
                ready += 1
                continue
            if now - since > _SILENCE_S:
                with suppress(StateConflictError):
                    store.delete(record)
                continue
            waiting += 1
        if not waiting:
            return f"{ready} serving, all have loaded the encoder"
        if now - began > limit_s:
            return (
                f"{waiting} of {ready + waiting} had not loaded the encoder after {limit_s:.0f} s"
            )
        sleep(0.2)
