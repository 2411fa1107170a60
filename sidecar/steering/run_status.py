"""The run under way or last ended: one durable record per target, written as the run goes.

The record is told by a reporter that stands before whoever else is told. It never fails the run
and never holds it up: a thread writes what is new, at most once a second. Whether the run still
lives is not judged by the record's times but by watching the owner's lease for change.
"""

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from desireline.connectors.errors import DesirelineError, StateConflictError
from desireline.connectors.state_store import Record, StateStore
from desireline.sidecar.errors import RunCancelledError, SidecarError
from desireline.sidecar.reports.reporting import Reporter
from desireline.sidecar.steering.steps import Step

RUN = "run"
UNDER_WAY = "under way"
#: The rate is that of the last so many seconds, so that it follows a throttle.
_RATE_WINDOW_S = 30.0
#: Before this a rate would be that of the clock, not of the work.
_SOONEST_RATE_S = 0.5

log = structlog.get_logger(__name__)


class RunStatus(BaseModel):
    """Where a run stands, or how it ended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    run: str
    generation: int | None = None
    #: "slot" or "index".
    way: str | None = None
    #: The step passed last.
    step: Step | None = None
    #: What is being counted, such as "backfill", and how far it is.
    counting: str = ""
    done: int = 0
    total: int = 0
    #: Of what is counted, a second; None until it can be told.
    rate: float | None = None
    eta_s: float | None = None
    #: What was said last.
    sentence: str = ""
    #: Why nothing is written at present; empty while it is.
    throttled: str = ""
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    #: "under way", "done", "failed", "cancelled" or "interrupted".
    outcome: str = UNDER_WAY
    host: str
    pid: int
    #: Of the lease under which it runs.
    fencing: int

    @property
    def ended(self) -> bool:
        """Whether it said that it ended; a killed run never does."""
        return self.ended_at is not None


class RunReporter:
    """Keeps the status of one run, and passes everything on to another reporter."""

    def __init__(
        self,
        inner: Reporter,
        status: RunStatus,
        store: StateStore,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._status = status
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._counts: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._written: Record | None = None
        self._dirty = True
        self._superseded = False

    @property
    def status(self) -> RunStatus:
        """Where the run stands now."""
        with self._lock:
            return self._status

    def step(self, name: str, sentence: str, **keys: object) -> None:
        """Tell that something was done."""
        self._inner.step(name, sentence, **keys)
        self._change(sentence=f"{name}: {sentence}")

    def progress(self, name: str, done: int, total: int, **keys: object) -> None:
        """Tell how far something is."""
        self._inner.progress(name, done, total, **keys)
        rate = self._rate(name, done)
        left = max(total - done, 0)
        eta_s = round(left / rate, 1) if rate else (0.0 if not left else None)
        self._change(counting=name, done=done, total=total, rate=rate, eta_s=eta_s)

    def reached(self, step: Step) -> None:
        """Tell that a step was passed."""
        self._change(step=step)

    def throttled(self, reason: str) -> None:
        """Tell why nothing is written at present; the empty string when it goes on."""
        self._change(throttled=reason)

    def building(self, generation: int, way: str) -> None:
        """Tell what the run builds and in which way."""
        self._change(generation=generation, way=way)

    def end(self, outcome: str, sentence: str = "") -> None:
        """Close the record; the last sentence stays where none is given."""
        with self._lock:
            kept = sentence or self._status.sentence
        self._change(
            outcome=outcome, sentence=kept, ended_at=self._clock(), eta_s=None, throttled=""
        )
        self.flush()

    def flush(self) -> None:
        """Write what is new, if anything; whatever goes wrong is logged and never raised."""
        with self._writing:
            with self._lock:
                if not self._dirty or self._superseded:
                    return
                status, self._dirty = self._status, False
            try:
                self._write(status)
            except Exception as error:  # noqa: BLE001 - a status must never end the run it tells of
                self._dirty = True
                log.warning("the run's status was not kept; the run goes on", reason=str(error))

    def _write(self, status: RunStatus) -> None:
        body = status.model_dump(mode="json")
        try:
            self._written = self._store.put(RUN, status.target, body, expected=self._written)
        except StateConflictError:
            # Our own write whose answer was lost, the former run's record, or a later run's.
            found = self._store.get(RUN, status.target)
            if found is not None and int(found.body.get("fencing", 0)) > status.fencing:
                self._superseded = True
                return
            self._written = self._store.put(RUN, status.target, body, expected=found)

    def _change(self, **fields: Any) -> None:
        with self._lock:
            self._status = self._status.model_copy(update=fields)
            self._dirty = True

    def _rate(self, name: str, done: int) -> float | None:
        now = self._monotonic()
        with self._lock:
            if name != self._status.counting or (self._counts and done < self._counts[-1][1]):
                self._counts.clear()
            self._counts.append((now, done))
            while len(self._counts) > 2 and now - self._counts[1][0] > _RATE_WINDOW_S:  # noqa: PLR2004 - a rate needs two
                self._counts.popleft()
            began, at_first = self._counts[0]
        seconds = now - began
        return round((done - at_first) / seconds, 1) if seconds >= _SOONEST_RATE_S else None


@contextmanager
def telling(
    reporter: Reporter,
    *,
    store: StateStore,
    target: str,
    run: str,
    fencing: int,
    clock: Callable[[], datetime],
    every_s: float = 1.0,
) -> Iterator[RunReporter]:
    """Keep the status of a run for the duration of the block, and how it ended."""
    status = RunStatus(
        target=target,
        run=run,
        started_at=clock(),
        host=socket.gethostname(),
        pid=os.getpid(),
        fencing=fencing,
    )
    kept = RunReporter(reporter, status, store, clock=clock)
    stop = threading.Event()
    writer = threading.Thread(
        target=_flush_until, args=(kept, stop, every_s), name=f"run {target}", daemon=True
    )
    writer.start()
    outcome, sentence = "done", ""
    try:
        yield kept
    except RunCancelledError as error:
        outcome, sentence = "cancelled", str(error)
        raise
    except Exception as error:
        known = isinstance(error, DesirelineError)
        outcome, sentence = "failed", str(error) if known else type(error).__name__
        raise
    except BaseException:
        outcome = "interrupted"
        sentence = "stopped by the user; the same command goes on where it stopped"
        raise
    finally:
        stop.set()
        writer.join()
        kept.end(outcome, sentence)


def _flush_until(reporter: RunReporter, stop: threading.Event, every_s: float) -> None:
    reporter.flush()
    while not stop.wait(every_s):
        reporter.flush()


def last_run(store: StateStore, target: str) -> RunStatus | None:
    """Return the run under way or last ended; None before the first.

    Raises:
        SidecarError: the record is not one of ours.

    """
    record = store.get(RUN, target)
    if record is None:
        return None
    try:
        return RunStatus.model_validate(dict(record.body))
    except ValidationError as error:
        raise SidecarError(
            f"the run record {target!r} in the state store is not one of ours:"
            f" {error.error_count()} wrong fields; it was not used"
        ) from error


@dataclass(slots=True, kw_only=True)
class Pulse:
    """Whether the owner of a run still shows life, as seen by one who watches.

    Only this watcher's own monotonic clock is looked at, so clocks may be hours apart.
    """

    monotonic: Callable[[], float] = time.monotonic
    _seen: int | None = None
    _since: float = 0.0

    def silent_s(self, beat: int | None) -> float:
        """Return for how long the owner's beat has not changed.

        Args:
            beat: as `beat_of` returned it just now.

        Infinite where there is no owner: then the run is over, said or not.

        """
        if beat is None:
            return float("inf")
        now = self.monotonic()
        if beat != self._seen:
            self._seen, self._since = beat, now
        return now - self._since


def beat_of(lease: Mapping[str, Any] | None, fencing: int) -> int | None:
    """Return a number that changes while the owner of this fencing number lives.

    None where the lease is free or somebody else's.
    """
    if lease is None or not lease.get("owner") or lease.get("fencing") != fencing:
        return None
    return int(lease.get("beat", 0))
