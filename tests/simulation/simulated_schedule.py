"""A virtual clock and one running thing at a time, chosen by a seed.

Tasks are generators: they yield None to be picked again, seconds to sleep, or a Pending to
wait for. Production code, which knows nothing of this, runs in a strand: a thread that only
ever runs while its task is picked, and stops at every request and every sleep.
"""

import heapq
import itertools
import random
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any

Want = Any
Task = Generator[Want, None, None]

_here = threading.local()


class Killed(BaseException):  # noqa: N818 - not an error: kill -9
    """The process is gone; nothing of it may do anything any more."""


class Pending:
    """Something that will be there."""

    def __init__(self) -> None:
        self.done = False
        self.value: Any = None
        self.error: Exception | None = None
        self.waiting: list[Task] = []


class Schedule:
    """Runs tasks in an order drawn from the generator of random numbers."""

    def __init__(self, rng: random.Random, step_s: float = 0.002) -> None:
        self.rng = rng
        self.now = 0.0
        self.steps = 0
        self._step_s = step_s
        self._ready: list[Task] = []
        self._sleeping: list[tuple[float, int, Task]] = []
        self._tie = itertools.count()
        self.strands: list[Strand] = []

    def spawn(self, task: Task) -> None:
        self._ready.append(task)

    def serve(self, work: Generator[None, None, Any], after_s: float = 0.0) -> Pending:
        """Run a request as a task of its own."""
        pending = Pending()
        self.spawn(self._serve(work, pending, after_s))
        return pending

    def _serve(self, work: Generator[None, None, Any], pending: Pending, after_s: float) -> Task:
        if after_s:
            yield after_s
        try:
            pending.value = yield from work
        except AssertionError:
            raise
        except Exception as error:  # noqa: BLE001 - the answer of the node, told to who waits
            pending.error = error
        pending.done = True
        self.wake(pending)

    def abandon(self) -> None:
        """End every strand that is left; threads that wait for ever are never freed."""
        for strand in self.strands:
            strand.end()

    def wake(self, pending: Pending) -> None:
        """Let those go on that waited for it."""
        self._ready += pending.waiting
        pending.waiting = []

    def run(self, until: Callable[[], bool], *, limit: int) -> None:
        """Pick tasks until told to stop or none is left.

        Raises:
            AssertionError: it does not come to an end.

        """
        for _ in range(limit):
            if until() or not self._pick():
                return
        raise AssertionError(f"no end after {limit} steps, at {self.now:.1f} s")

    def _pick(self) -> bool:
        while self._sleeping and self._sleeping[0][0] <= self.now:
            self._ready.append(heapq.heappop(self._sleeping)[2])
        if not self._ready:
            if not self._sleeping:
                return False
            self.now = self._sleeping[0][0]
            self._ready.append(heapq.heappop(self._sleeping)[2])
        self.steps += 1
        self.now += self.rng.random() * 2 * self._step_s
        position = int(self.rng.random() * len(self._ready))
        self._ready[position], self._ready[-1] = self._ready[-1], self._ready[position]
        task = self._ready.pop()
        try:
            want = next(task)
        except StopIteration:
            return True
        if want is None:
            self._ready.append(task)
        elif isinstance(want, Pending):
            (self._ready if want.done else want.waiting).append(task)
        else:
            heapq.heappush(self._sleeping, (self.now + want, next(self._tie), task))
        return True


class Process:
    """Strands that live and die together, on a clock of their own that may be wrong."""

    def __init__(self, name: str, schedule: Schedule, skew_s: float = 0.0) -> None:
        self.name = name
        self.schedule = schedule
        self.skew_s = skew_s
        self.dead = False
        #: Until then nothing of it runs, whatever it waits for.
        self.frozen_until = 0.0

    def strand(self, body: Callable[[], None], name: str = "") -> "Strand":
        return Strand(body, name or self.name, self)


class Strand:
    """Production code that runs only while it is resumed."""

    def __init__(self, body: Callable[[], None], name: str, process: Process) -> None:
        self.name = name
        self.process = process
        self.ended = Pending()
        self._turn = threading.Lock()
        self._back = threading.Lock()
        self._turn.acquire()
        self._back.acquire()
        self._want: Want = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(body,), name=name, daemon=True)
        self._thread.start()
        process.schedule.strands.append(self)

    def end(self) -> None:
        """Kill it, outside the schedule."""
        self.process.dead = True
        while not self.ended.done:
            self._turn.release()
            self._back.acquire()
        self._thread.join()

    def _run(self, body: Callable[[], None]) -> None:
        _here.strand = self
        self._turn.acquire()
        try:
            if not self.process.dead:
                body()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the task
            self._failure = error
        self.ended.done = True
        self._back.release()

    def task(self) -> Task:
        """Drive it: every want of the strand is a want of the task."""
        schedule = self.process.schedule
        while True:
            while self.process.frozen_until > schedule.now:
                yield self.process.frozen_until - schedule.now
            self._turn.release()
            self._back.acquire()
            if self.ended.done:
                self._thread.join()
                schedule.wake(self.ended)
                if self._failure is not None:
                    raise self._failure
                return
            yield self._want

    def want(self, want: Want) -> None:
        """Called by the strand: give the turn away until the want is met."""
        if self.process.dead:
            raise Killed
        self._want = want
        self._back.release()
        self._turn.acquire()
        if self.process.dead:
            raise Killed


class VirtualThread:
    """A thread of production code: another strand of the process that starts it."""

    def __init__(
        self, target: Callable[..., None], args: tuple[Any, ...] = (), name: str = "", **_: Any
    ) -> None:
        self._body = lambda: target(*args)
        self._name = name
        self._strand: Strand | None = None

    def start(self) -> None:
        process = _surely_current().process
        self._strand = process.strand(self._body, self._name)
        process.schedule.spawn(self._strand.task())

    def join(self, timeout: float | None = None) -> None:
        assert self._strand is not None
        _surely_current().want(self._strand.ended)

    def is_alive(self) -> bool:
        return self._strand is not None and not self._strand.ended.done


class VirtualEvent:
    """An event of production code. A wait with a limit always lasts until the limit."""

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        if not self._set:
            assert timeout is not None, "a wait without a limit is not simulated"
            _surely_current().want(timeout)
        return self._set


class VirtualLock:
    """A lock of production code that another strand may hold across a request."""

    def __init__(self) -> None:
        self._held = False

    def __enter__(self) -> None:
        while self._held:
            _surely_current().want(None)
        self._held = True

    def __exit__(self, *_: object) -> None:
        self._held = False


class _VirtualThreading:
    Thread = VirtualThread
    Event = VirtualEvent
    Lock = VirtualLock


def _surely_current() -> Strand:
    strand = current()
    assert strand is not None, "threads of production code are only simulated inside a strand"
    return strand


def current() -> Strand | None:
    """Return the strand that is running, if this thread is one."""
    return getattr(_here, "strand", None)


_REAL = {"sleep": time.sleep, "monotonic": time.monotonic}


def _sleep(seconds: float) -> None:
    strand = current()
    if strand is None:
        _REAL["sleep"](seconds)
    else:
        strand.want(seconds)


def _monotonic() -> float:
    strand = current()
    if strand is None:
        return _REAL["monotonic"]()
    return strand.process.schedule.now + strand.process.skew_s


@contextmanager
def virtual_time() -> Iterator[None]:
    """Give strands the virtual clock, also where a default argument holds the real one.

    Threads, events and locks of the sidecar become strands and what strands can wait for.
    """
    swap = {_REAL["sleep"]: _sleep, _REAL["monotonic"]: _monotonic}
    time.sleep, time.monotonic = _sleep, _monotonic
    _replace_defaults(swap)
    threaded = [m for m in _our_modules() if getattr(m, "threading", None) is threading]
    for module in threaded:
        module.threading = _VirtualThreading  # type: ignore[attr-defined]
    told = sys.unraisablehook
    sys.unraisablehook = lambda what: None if what.exc_type is Killed else told(what)
    try:
        yield
    finally:
        sys.unraisablehook = told
        for module in threaded:
            module.threading = threading  # type: ignore[attr-defined]
        time.sleep, time.monotonic = _REAL["sleep"], _REAL["monotonic"]
        _replace_defaults({_sleep: _REAL["sleep"], _monotonic: _REAL["monotonic"]})


def _our_modules() -> list[ModuleType]:
    ours = ("desireline.sidecar", "desireline.connectors")
    return [module for name, module in list(sys.modules.items()) if name.startswith(ours)]


def _replace_defaults(swap: dict[Any, Any]) -> None:
    for module in _our_modules():
        for function in _functions(vars(module), module.__name__):
            if function.__defaults__:
                function.__defaults__ = tuple(_swapped(v, swap) for v in function.__defaults__)
            if function.__kwdefaults__:
                function.__kwdefaults__ = {
                    key: _swapped(value, swap) for key, value in function.__kwdefaults__.items()
                }


def _swapped(value: Any, swap: dict[Any, Any]) -> Any:
    try:
        return swap.get(value, value)
    except TypeError:  # a default that cannot be hashed is no clock
        return value


def _functions(names: dict[str, Any], module: str) -> Iterator[FunctionType]:
    for value in list(names.values()):
        if isinstance(value, FunctionType) and value.__module__ == module:
            yield value
            if hasattr(value, "__wrapped__"):
                yield value.__wrapped__
        elif isinstance(value, type) and value.__module__ == module:
            yield from _functions(dict(vars(value)), module)
