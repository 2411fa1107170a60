"""Cycles by the clock: each at its time, one at a time, and none stops the others."""

import threading
from datetime import UTC, datetime

import pytest

from desireline.sidecar.configuration.tune import TuneConfig
from desireline.sidecar.errors import LeaseHeldError
from desireline.sidecar.schedule import Schedule

NIGHTLY = TuneConfig(schedule="0 2 * * *", timezone="Europe/Berlin")


@pytest.fixture
def start():
    """Start schedules and stop them afterwards."""
    started = []

    def starting(configs, run_cycle) -> Schedule:
        schedule = Schedule(configs, run_cycle)
        schedule.start()
        started.append(schedule)
        return schedule

    yield starting
    for schedule in started:
        schedule.stop()


def now(schedule: Schedule, target: str) -> None:
    """Make the clock strike for a target."""
    schedule._scheduler.modify_job(target, next_run_time=datetime.now(UTC))


def test_only_targets_with_a_schedule_run_and_at_their_local_time(start):
    schedule = start({"jobs": NIGHTLY, "by_hand": TuneConfig()}, lambda _: None)
    runs = schedule.next_runs()
    assert list(runs) == ["jobs"]
    assert datetime.fromisoformat(runs["jobs"]).hour == 2


def test_two_targets_that_are_due_at_once_run_one_after_the_other(start):
    running, most = threading.Semaphore(1), []
    done = threading.Barrier(2, timeout=120)

    def run_cycle(target: str) -> None:
        most.append(running.acquire(blocking=False))
        running.release()
        if len(most) == 2:
            threading.Thread(target=done.wait).start()

    schedule = start({"a": NIGHTLY, "b": NIGHTLY}, run_cycle)
    now(schedule, "a")
    now(schedule, "b")
    done.wait()
    assert most == [True, True]


def test_a_cycle_that_fails_leaves_the_schedule_running(start):
    called = threading.Semaphore(0)

    def run_cycle(target: str) -> None:
        called.release()
        raise LeaseHeldError("another process is at it")

    schedule = start({"jobs": NIGHTLY}, run_cycle)
    for _ in range(2):
        # Asked again while the first is still ending, it would rightly not overlap.
        assert any(
            called.acquire(timeout=0.1) for _ in range(1_200) if now(schedule, "jobs") is None
        )
    assert "jobs" in schedule.next_runs()
