"""A virtual clock and one running thing at a time, chosen by a seed.

Tasks are generators: they yield None to be picked again, seconds to sleep, or a Pending to
wait for. Production code, which knows nothing of this, runs in a strand: a thread that only
ever runs while its task is picked, and stops at every request and every sleep.
"""

import heapq
import itertools
import random
import threading
from collections.abc import Callable, Generator
from typing import Any

Want = Any
Task = Generator[Want, None, None]

_here = threading.local()


class Killed(BaseException):
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
        #: Processes it started, which outlive it.
        self.children: list[Process] = []
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


def current() -> Strand | None:
    """Return the strand that is running, if this thread is one."""
    return getattr(_here, "strand", None)
