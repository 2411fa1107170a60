"""Who may write a target: one owner at a time, with a fencing number.

The age of a lease is judged by watching its record for change with a monotonic clock, never
by comparing wall clocks, so clocks may be hours apart (Gray & Cheriton 1989 leases; fencing
numbers as in Burrows 2006, Chubby). A paused owner that wakes finds its last beat too old and
stops before it writes.
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from desireline.connectors.errors import DesirelineError, StateConflictError
from desireline.connectors.state_store import Record, StateStore
from desireline.sidecar.errors import LeaseHeldError, LeaseLostError

LEASE = "lease"

_GIVEN_UP: set[str] = set()
"""Holders of leases that this process left without being able to say so."""

log = structlog.get_logger(__name__)


class Lease:
    """A held lease. Call `check` before every write."""

    def __init__(
        self,
        store: StateStore,
        record: Record,
        ttl_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._record = record
        self._ttl_s = ttl_s
        self._monotonic = monotonic
        self._beaten_at = monotonic()
        self._lost = ""
        self._lock = threading.Lock()

    @property
    def fencing(self) -> int:
        """The number that rides in every stamp and pointer write of this owner."""
        return int(self._record.body["fencing"])

    @property
    def silence(self) -> float:
        """Share of the time to live that has passed since the last beat; lost at two thirds."""
        return (self._monotonic() - self._beaten_at) / self._ttl_s

    def check(self) -> None:
        """Raise LeaseLostError unless this process surely still owns the target."""
        with self._lock:
            age = self._monotonic() - self._beaten_at
            if not self._lost and age > self._ttl_s * 2 / 3:
                self._lost = f"its last sign of life is {age:.0f} s old"
            if self._lost:
                raise LeaseLostError(
                    f"the lease on {self._record.key!r} is lost: {self._lost}; "
                    "nothing more was written",
                    fencing=self.fencing,
                    next_step="run the command again: it resumes",
                )

    def beat(self) -> None:
        """Show life to others. Losing the lease is remembered, not raised."""
        began = self._monotonic()
        try:
            record = self._store.put(
                LEASE,
                self._record.key,
                {**self._record.body, "beat": int(self._record.body["beat"]) + 1},
                expected=self._record,
            )
        except StateConflictError:
            self._look_again()
            return
        with self._lock:
            self._record = record
            self._beaten_at = began

    def _look_again(self) -> None:
        """Tell a lease that was taken from a beat of ours whose answer never came."""
        record = self._store.get(LEASE, self._record.key)
        with self._lock:
            if record is not None and record.body["fencing"] == self.fencing:
                self._record = record
            else:
                self._lost = "another process took it"

    def release(self) -> None:
        """Leave the record, marked free: its number must never be given out twice.

        Where that cannot be written, this process remembers that it owns it no more: others
        wait until they see no life, but its own next try must not wait for itself.
        """
        try:
            self._store.put(
                LEASE, self._record.key, {**self._record.body, "owner": {}}, expected=self._record
            )
        except DesirelineError:
            _GIVEN_UP.add(str(self._record.body["owner"].get("holder")))
            log.warning("lease not released; it will expire", lease=self._record.key)


@contextmanager
def hold_lease(
    store: StateStore,
    key: str,
    *,
    ttl_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Lease]:
    """Own `key` for the duration of the block, beating in the background.

    Raises:
        LeaseHeldError: another process owns it and is alive.

    """
    lease = acquire(store, key, ttl_s=ttl_s, sleep=sleep)
    stop = threading.Event()
    beater = threading.Thread(
        target=_beat_until, args=(lease, stop, ttl_s / 4), name=f"lease {key}", daemon=True
    )
    beater.start()
    try:
        yield lease
    finally:
        stop.set()
        beater.join()
        lease.release()


def acquire(
    store: StateStore, key: str, *, ttl_s: float, sleep: Callable[[float], None] = time.sleep
) -> Lease:
    """Take the lease if it is free, its owner is dead, or it shows no life for `ttl_s`."""
    record = store.get(LEASE, key)
    if record is not None and record.body["owner"]:
        _wait_for_death(store, record, ttl_s, sleep)
    fencing = 1 if record is None else int(record.body["fencing"]) + 1
    body = {"owner": _myself(), "fencing": fencing, "beat": 0}
    try:
        return Lease(store, store.put(LEASE, key, body, expected=record), ttl_s)
    except StateConflictError as error:
        raise _held(key, {"host": "another process"}) from error


def last_owner(store: StateStore, key: str) -> int:
    """Return the number of the last owner; 0 before the first."""
    record = store.get(LEASE, key)
    return 0 if record is None else int(record.body["fencing"])


def highest_fencing(store: StateStore, target: str) -> int:
    """Return the highest number given to an owner of the target or of its follower."""
    return max(last_owner(store, target), last_owner(store, f"{target} follower"))


def _wait_for_death(
    store: StateStore, record: Record, ttl_s: float, sleep: Callable[[float], None]
) -> None:
    owner = record.body["owner"]
    if owner.get("host") == socket.gethostname():
        if not _alive(owner) or owner.get("holder") in _GIVEN_UP:
            return
        if not _stopped(owner):
            raise _held(record.key, owner)
    waited = 0.0
    while waited < ttl_s:
        sleep(ttl_s / 10)
        waited += ttl_s / 10
        seen = store.get(LEASE, record.key)
        if seen is None or seen.version != record.version:
            raise _held(record.key, owner)


def _held(key: str, owner: Mapping[str, Any]) -> LeaseHeldError:
    who = f"{owner.get('host')}, process {owner['pid']}" if "pid" in owner else owner.get("host")
    return LeaseHeldError(
        f"{key!r} is being worked on by {who}; nothing was changed",
        next_step="wait for it to end, or stop that process",
    )


def _beat_until(lease: Lease, stop: threading.Event, every_s: float) -> None:
    while not stop.wait(every_s):
        try:
            lease.beat()
        except DesirelineError as error:
            log.warning("lease could not be renewed", reason=str(error))


def _myself() -> dict[str, Any]:
    pid = os.getpid()
    host, holder = socket.gethostname(), uuid.uuid4().hex
    return {"host": host, "pid": pid, "started": _started(pid), "holder": holder}


def _alive(owner: Mapping[str, Any]) -> bool:
    try:
        os.kill(int(owner["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _started(int(owner["pid"])) == owner.get("started")


def _stopped(owner: Mapping[str, Any]) -> bool:
    """Whether a process is halted (SIGSTOP): it shows no life and may wake at any time."""
    return _stat(int(owner["pid"]))[:1] in {("T",), ("t",)}


def _started(pid: int) -> str:
    """When a process began, in clock ticks since boot; a reused pid has another."""
    return next(iter(_stat(pid)[19:20]), "")


def _stat(pid: int) -> tuple[str, ...]:
    """Return what Linux tells of a process from its state on; nothing elsewhere."""
    try:
        return tuple(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split())
    except OSError:
        return ()
