"""What is kept of a run while it goes, and what it may never cost the run."""

import threading
from datetime import UTC, datetime

import pytest

from desireline.connectors.errors import StateUnavailableError
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.errors import BackfillError, RunCancelledError
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.steering.run_status import (
    RUN,
    Pulse,
    RunReporter,
    RunStatus,
    beat_of,
    last_run,
    telling,
)
from desireline.sidecar.steering.steps import Step

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Counting(MemoryStore):
    """A store that counts its writes and fails when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.failure: Exception | None = None
        self.lost_answers = 0

    def put(self, kind, key, body, *, expected):
        if self.failure is not None:
            raise self.failure
        self.writes += 1
        written = super().put(kind, key, body, expected=expected)
        if self.lost_answers:
            self.lost_answers -= 1
            raise StateUnavailableError("the answer was lost after the write")
        return written


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def status(fencing: int = 3, run: str = "run 1") -> RunStatus:
    return RunStatus(
        target="products", run=run, started_at=NOON, host="here", pid=1, fencing=fencing
    )


def reporter(store, clock=None, **keys) -> RunReporter:
    return RunReporter(
        SilentReporter(),
        status(**keys),
        store,
        clock=lambda: NOON,
        monotonic=clock or Clock(),
    )


def begun(store, **keys):
    return telling(
        SilentReporter(),
        store=store,
        target="products",
        run="run 1",
        fencing=keys.pop("fencing", 3),
        clock=lambda: NOON,
        **keys,
    )


def kept(store) -> RunStatus:
    found = last_run(store, "products")
    assert found is not None
    return found


def test_before_the_first_run_there_is_none() -> None:
    assert last_run(MemoryStore(), "products") is None


def test_a_run_is_kept_as_it_goes_and_how_it_ended() -> None:
    store = MemoryStore()
    with begun(store) as told:
        told.building(7, "slot")
        told.reached(Step.BATCH_WRITTEN)
        told.progress("backfill", 50, 200)
        told.throttled("CPU at 91 %")
        told.step("backfill", "half of it is done")
        told.flush()
        now = kept(store)
        assert (now.generation, now.way, now.step) == (7, "slot", Step.BATCH_WRITTEN)
        assert (now.counting, now.done, now.total) == ("backfill", 50, 200)
        assert now.throttled == "CPU at 91 %"
        assert now.sentence == "backfill: half of it is done"
        assert not now.ended
    ended = kept(store)
    assert ended.outcome == "done"
    assert ended.ended
    assert ended.throttled == ""
    assert ended.sentence == "backfill: half of it is done"


@pytest.mark.parametrize(
    ("error", "outcome", "sentence"),
    [
        (BackfillError("3 documents differ"), "failed", "3 documents differ"),
        (RunCancelledError("given up"), "cancelled", "given up"),
        (RuntimeError("a secret"), "failed", "RuntimeError"),
        (KeyboardInterrupt(), "interrupted", "stopped by the user"),
    ],
)
def test_how_a_run_ended_is_kept_with_its_reason(error, outcome: str, sentence: str) -> None:
    store = MemoryStore()
    with pytest.raises(type(error)), begun(store):
        raise error
    assert kept(store).outcome == outcome
    assert sentence in kept(store).sentence
    assert "secret" not in kept(store).sentence


def test_ten_thousand_reports_cost_no_write_until_it_is_time() -> None:
    store = Counting()
    told = reporter(store)
    for done in range(10_000):
        told.progress("backfill", done, 10_000)
    assert store.writes == 0
    told.flush()
    told.flush()
    assert store.writes == 1
    assert kept(store).done == 9_999


def test_a_store_that_fails_never_fails_the_run() -> None:
    store = Counting()
    for failure in (StateUnavailableError("away"), RuntimeError("broken"), OSError("full")):
        store.failure = failure
        with begun(store) as told:
            told.step("backfill", "goes on")
            told.flush()


def test_what_could_not_be_kept_is_kept_once_the_store_is_back() -> None:
    store = Counting()
    told = reporter(store)
    store.failure = StateUnavailableError("away")
    told.progress("backfill", 5, 10)
    told.flush()
    store.failure = None
    told.flush()
    assert kept(store).done == 5


def test_a_write_whose_answer_was_lost_does_not_end_the_record() -> None:
    store = Counting()
    told = reporter(store)
    store.lost_answers = 1
    told.progress("backfill", 5, 10)
    told.flush()
    told.progress("backfill", 6, 10)
    told.flush()
    assert kept(store).done == 6


def test_the_next_run_takes_the_record_over_and_the_former_one_leaves_it_alone() -> None:
    """A paused owner that wakes writes nothing here either (invariant 17)."""
    store = MemoryStore()
    former, later = reporter(store, fencing=3), reporter(store, fencing=4, run="run 2")
    former.flush()
    later.flush()
    former.progress("backfill", 9, 9)
    former.end("done", "too late")
    assert kept(store).run == "run 2"
    assert not kept(store).ended


def test_the_rate_is_that_of_the_last_half_minute() -> None:
    clock = Clock()
    told = reporter(MemoryStore(), clock)
    told.progress("backfill", 0, 10_000)
    assert told.status.rate is None
    for second in range(1, 31):
        clock.now = second
        told.progress("backfill", second * 100, 10_000)
    assert told.status.rate == 100.0
    assert told.status.eta_s == 70.0
    for second in range(31, 91):
        clock.now = second
        told.progress("backfill", 3_000 + (second - 30) * 10, 10_000)
    assert told.status.rate == 10.0


def test_another_count_begins_with_a_rate_of_its_own() -> None:
    clock = Clock()
    told = reporter(MemoryStore(), clock)
    told.progress("backfill", 0, 100)
    clock.now = 1.0
    told.progress("backfill", 100, 100)
    clock.now = 2.0
    told.progress("verify", 0, 100)
    assert told.status.rate is None
    clock.now = 3.0
    told.progress("verify", 10, 100)
    assert (told.status.rate, told.status.eta_s) == (10.0, 9.0)


def test_reports_reach_whoever_else_is_told() -> None:
    heard: list[object] = []

    class Ear(SilentReporter):
        def step(self, name: str, sentence: str, **keys: object) -> None:
            heard.append((name, sentence, keys))

        def progress(self, name: str, done: int, total: int, **keys: object) -> None:
            heard.append((name, done, total, keys))

    told = RunReporter(Ear(), status(), MemoryStore(), clock=lambda: NOON)
    told.step("a", "b", c=1)
    told.progress("d", 1, 2, e=3)
    assert heard == [("a", "b", {"c": 1}), ("d", 1, 2, {"e": 3})]


def test_the_thread_that_writes_ends_with_the_run() -> None:
    with begun(MemoryStore(), every_s=0.01):
        assert any(thread.name == "run products" for thread in threading.enumerate())
    assert not any(thread.name == "run products" for thread in threading.enumerate())


def test_a_record_of_somebody_else_is_named() -> None:
    from desireline.sidecar.errors import SidecarError

    store = MemoryStore()
    store.put(RUN, "products", {"what": "ever"}, expected=None)
    with pytest.raises(SidecarError, match="not one of ours"):
        last_run(store, "products")


def test_life_is_seen_by_change_and_not_by_any_clock() -> None:
    """Invariant 18: the record holds no time that is compared with ours."""
    clock = Clock()
    pulse = Pulse(monotonic=clock)
    assert pulse.silent_s(1) == 0
    clock.now = 40.0
    assert pulse.silent_s(1) == 40.0
    assert pulse.silent_s(2) == 0
    assert pulse.silent_s(None) == float("inf")


def test_a_lease_that_is_free_or_of_another_beats_for_nobody() -> None:
    lease = {"owner": {"host": "here"}, "fencing": 3, "beat": 1}
    assert beat_of(lease, 3) == 1
    assert beat_of({**lease, "owner": {}}, 3) is None
    assert beat_of({**lease, "fencing": 4}, 3) is None
    assert beat_of(None, 3) is None
