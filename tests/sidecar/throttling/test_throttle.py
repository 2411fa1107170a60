"""A run writes when nothing speaks against it, no faster than it may, and ends when told to."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desireline.connectors.errors import StateUnavailableError
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.errors import LeaseLostError, RunCancelledError
from desireline.sidecar.lease import Lease
from desireline.sidecar.steering.controls import Control
from desireline.sidecar.throttling.pace import GentlePace, Pace
from desireline.sidecar.throttling.search_probe import SearchProbe
from desireline.sidecar.throttling.throttle import Throttle


@dataclass
class Clock:
    """Time that passes only when somebody sleeps; things may happen at a moment."""

    now: float = 1000.0
    events: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds
        for moment, happen in list(self.events):
            if moment <= self.now:
                self.events.remove((moment, happen))
                happen()

    def at(self, moment: float, happen: Callable[[], None]) -> None:
        self.events.append((moment, happen))


class Switch:
    """A cause that a test turns on and off."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.on = False

    def __call__(self) -> str | None:
        return self.reason if self.on else None


@pytest.fixture
def clock() -> Clock:
    return Clock()


def lease(clock: Clock) -> Lease:
    store = MemoryStore()
    record = store.put("lease", "jobs", {"owner": {}, "fencing": 1, "beat": 0}, expected=None)
    return Lease(store, record, ttl_s=1e9, monotonic=clock.monotonic)


def throttle(clock: Clock, *checks: Switch, **more: object) -> tuple[Throttle, list[str]]:
    told: list[str] = []
    made = Throttle(
        checks,
        told=told.append,
        sleep=clock.sleep,
        monotonic=clock.monotonic,
        **more,  # type: ignore[arg-type]
    )
    return made, told


def test_nothing_is_waited_for_or_told_where_nothing_speaks_against_writing(clock: Clock) -> None:
    free, told = throttle(clock, Switch("never"))
    free.wait(lease(clock), 256)
    assert clock.slept == []
    assert told == []


@pytest.mark.parametrize("number", [0, 1, 2])
def test_any_one_reason_stops_the_next_batch_and_its_end_is_seen_within_a_second(
    clock: Clock, number: int
) -> None:
    """Invariant 21."""
    switches = [Switch(f"reason {n}") for n in range(3)]
    held, told = throttle(clock, *switches)
    held.wait(lease(clock), 10)
    switches[number].on = True
    ends = clock.now + 7.3
    clock.at(ends, lambda: setattr(switches[number], "on", False))
    held.wait(lease(clock), 10)
    assert ends <= clock.now <= ends + 1.0
    assert told == [f"reason {number}", ""]


def test_a_reason_whose_figure_changes_is_told_once_and_another_reason_anew(clock: Clock) -> None:
    cpu, disk = Switch("cpu 91 %"), Switch("disk full")
    held, told = throttle(clock, cpu, disk)
    cpu.on = True
    clock.at(clock.now + 2, lambda: setattr(cpu, "reason", "cpu 97 %"))
    clock.at(clock.now + 4, lambda: setattr(disk, "on", True))
    clock.at(clock.now + 6, lambda: setattr(cpu, "on", False))
    clock.at(clock.now + 8, lambda: setattr(disk, "on", False))
    held.wait(lease(clock), 1)
    assert told == ["cpu 91 %", "cpu 97 %; disk full", "disk full", ""]


def test_the_operators_pause_is_a_reason_like_any_other(clock: Clock) -> None:
    wishes = [Control(paused=True)]
    held, told = throttle(clock, control=lambda: wishes[-1])
    clock.at(clock.now + 3, lambda: wishes.append(Control()))
    held.wait(lease(clock), 1)
    assert clock.now - 1000 == pytest.approx(3, abs=1)
    assert told == ["the run was paused by the operator", ""]


def test_a_cancel_ends_even_a_run_that_waits(clock: Clock) -> None:
    switch, wishes = Switch("cpu"), [Control()]
    switch.on = True
    held, _ = throttle(clock, switch, control=lambda: wishes[-1])
    clock.at(clock.now + 5, lambda: wishes.append(Control(cancelled=True)))
    with pytest.raises(RunCancelledError, match="unchanged"):
        held.wait(lease(clock), 1)
    assert clock.now <= 1006


def test_nothing_is_written_while_the_operators_wishes_cannot_be_read(clock: Clock) -> None:
    answers: list[Control | Exception] = [StateUnavailableError("the store is away")]

    def read() -> Control:
        answer = answers[-1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    held, told = throttle(clock, control=read)
    clock.at(clock.now + 2, lambda: answers.append(Control()))
    held.wait(lease(clock), 1)
    assert "the store is away" in told[0]
    assert clock.now >= 1002


def test_a_lease_that_is_lost_while_waiting_ends_the_wait(clock: Clock) -> None:
    switch = Switch("cpu")
    switch.on = True
    held, _ = throttle(clock, switch)
    store = MemoryStore()
    record = store.put("lease", "jobs", {"owner": {}, "fencing": 1, "beat": 0}, expected=None)
    short = Lease(store, record, ttl_s=30, monotonic=clock.monotonic)
    with pytest.raises(LeaseLostError):
        held.wait(short, 1)
    assert clock.now == pytest.approx(1020, abs=1)


@given(
    batches=st.lists(st.integers(1, 500), min_size=2, max_size=40),
    rate=st.floats(1, 5000),
    work_s=st.floats(0, 2),
)
def test_a_limited_run_is_as_fast_as_it_may_be_and_never_faster(
    batches: list[int], rate: float, work_s: float
) -> None:
    clock = Clock()
    limited, _ = throttle(clock, documents_a_second=rate)
    owner = lease(clock)
    went: list[float] = []
    expected = clock.now
    for documents in batches:
        limited.wait(owner, documents)
        went.append(clock.now)
        assert clock.now == pytest.approx(expected, rel=1e-9, abs=1e-6)
        expected = clock.now + max(documents / rate, work_s)
        if work_s:
            clock.sleep(work_s)
    for first in range(len(batches)):
        for last in range(first + 1, len(batches)):
            span = went[last] - went[first]
            assert sum(batches[first:last]) <= rate * span * (1 + 1e-6) + 1e-3


def test_the_slowest_of_the_configured_and_the_operators_rate_counts(clock: Clock) -> None:
    wishes = [Control(documents_a_second=50)]
    limited, _ = throttle(clock, documents_a_second=100, control=lambda: wishes[-1])
    assert limited.documents_a_second() == 50
    wishes.append(Control(documents_a_second=200))
    assert limited.documents_a_second() == 100


def test_a_lifted_rate_lets_a_waiting_batch_go_within_a_second(clock: Clock) -> None:
    wishes = [Control(documents_a_second=1)]
    limited, told = throttle(clock, control=lambda: wishes[-1])
    owner = lease(clock)
    limited.wait(owner, 3600)
    clock.at(clock.now + 10, lambda: wishes.append(Control()))
    limited.wait(owner, 1)
    assert clock.now == pytest.approx(1010, abs=1)
    assert told == []


def test_time_that_was_not_used_is_not_saved_up(clock: Clock) -> None:
    pace = Pace(monotonic=clock.monotonic)
    clock.sleep(3600)
    assert pace.due_s(10) == 0
    pace.take(100)
    assert pace.due_s(10) == pytest.approx(10)


class Searches:
    """A live index whose searches take longer the faster it is written."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.took_s = 0.010
        self.probe = SearchProbe(self.search, monotonic=clock.monotonic)
        self.probe.measure_baseline()

    def search(self) -> None:
        self._clock.now += self.took_s

    def ask(self, times: int = 20) -> None:
        for _ in range(times):
            self.probe.ask()


def test_a_gentle_pace_has_no_limit_while_searches_are_quick(clock: Clock) -> None:
    searches = Searches(clock)
    pace = GentlePace(searches.probe, 1.15, monotonic=clock.monotonic)
    for _ in range(5):
        pace.take(100)
        searches.ask()
        assert pace.rate() is None


def test_a_gentle_pace_comes_to_rest_where_searches_are_just_quick_enough(clock: Clock) -> None:
    """Searches slow by 20 % at 500 documents a second: the pace must settle near 375 or below."""
    searches = Searches(clock)
    pace = GentlePace(searches.probe, 1.15, monotonic=clock.monotonic)
    full, rates, slow = 2000.0, [], 0
    for _ in range(120):
        rate = min(full, pace.rate() or full)
        searches.took_s = 0.010 * (1 + 0.2 * rate / 500)
        began = clock.now
        searches.ask()
        pace.take(round(rate * (clock.now - began)))
        rates.append(rate)
        slow += searches.took_s > 0.0115
    settled = rates[40:]
    assert 200 <= sum(settled) / len(settled) <= 400
    assert max(settled) <= 500
    assert slow <= 60


def test_a_gentle_pace_is_lifted_once_searches_stay_quick_and_never_stops(clock: Clock) -> None:
    searches = Searches(clock)
    pace = GentlePace(searches.probe, 1.15, monotonic=clock.monotonic)
    searches.took_s = 1.0
    rate: float | None = None
    for _ in range(50):
        pace.take(1000 if rate is None else max(1, round(rate * 20)))
        searches.ask()
        rate = pace.rate()
    assert rate is not None
    assert rate == pytest.approx(50 * 0.05, rel=0.1)
    searches.took_s = 0.010
    for _ in range(30):
        pace.take(1)
        searches.ask()
        rate = pace.rate()
    assert rate is None


def test_the_wait_for_a_reason_does_not_count_as_slow_writing(clock: Clock) -> None:
    searches = Searches(clock)
    pace = GentlePace(searches.probe, 1.15, monotonic=clock.monotonic)
    switch = Switch("cpu")
    held, _ = throttle(clock, switch, gentle=pace)
    owner = lease(clock)
    held.wait(owner, 1000)
    switch.on = True
    clock.at(clock.now + 1000, lambda: setattr(switch, "on", False))
    held.wait(owner, 1000)
    searches.took_s = 0.1
    searches.ask(20)
    held.wait(owner, 1)
    # 1000 documents in the 2 s since writing went on, less 30 %.
    assert held.documents_a_second() == pytest.approx(0.7 * 1000 / 2, rel=0.3)
