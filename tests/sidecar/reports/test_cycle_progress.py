"""How far a cycle is: kept at each twentieth, for its own cycle alone, and never in its way."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from desireline.connectors.errors import StateConflictError
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.errors import RunCancelledError
from desireline.sidecar.reports.cycle_progress import (
    CYCLE_PROGRESS,
    ProgressKeeper,
    kept_progress,
)
from desireline.sidecar.reports.cycle_report import Diary
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.trainer.errors import TrainerError

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Counting(MemoryStore):
    """Counts what is written of progress; refuses it where it is told to."""

    def __init__(self, *, refuses: bool = False) -> None:
        super().__init__()
        self.written = 0
        self.refuses = refuses

    def put(self, kind, key, body, *, expected):
        if kind == CYCLE_PROGRESS:
            self.written += 1
            if self.refuses:
                raise StateConflictError("somebody else wrote first")
        return super().put(kind, key, body, expected=expected)


def keeper(store) -> ProgressKeeper:
    ticks = count()
    return ProgressKeeper(store, "jobs", "a", lambda: NOON + timedelta(seconds=next(ticks)))


def test_a_thousand_steps_are_written_as_twentieths_with_the_time_left() -> None:
    store = Counting()
    kept = keeper(store)
    for done in range(501):
        kept.tell("fit", done, 1000)
    found = kept_progress(store, "jobs", "a")
    assert (found["name"], found["done"], found["total"]) == ("fit", 500, 1000)
    assert found["eta_s"] == 10.0, "ten twentieths took ten ticks"
    assert store.written == 11


def test_another_piece_begins_anew_and_one_that_was_done_at_once_has_no_pace() -> None:
    store = Counting()
    kept = keeper(store)
    kept.tell("fit", 100, 100)
    assert kept_progress(store, "jobs", "a")["eta_s"] is None
    kept.tell("bm25", 10, 100)
    kept.tell("bm25", 30, 100)
    assert kept_progress(store, "jobs", "a")["eta_s"] == 3.5
    kept.tell("bm25", 5, 100)
    assert kept_progress(store, "jobs", "a")["eta_s"] is None, "it was begun again"


def test_the_progress_of_another_cycle_is_not_told() -> None:
    store = Counting()
    keeper(store).tell("fit", 1, 2)
    assert kept_progress(store, "jobs", "b") is None
    assert kept_progress(store, "films", "a") is None


def test_a_store_that_refuses_holds_no_cycle_up() -> None:
    store = Counting(refuses=True)
    diary = Diary(store, "jobs", SilentReporter(), lambda: NOON)
    diary.progress("fit", 1, 2)
    assert store.written == 1
    assert kept_progress(store, "jobs", diary.cycle) is None
    assert diary.report.running


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (TrainerError("no room; nothing was added", next_step="free the disk"), "failed"),
        (RunCancelledError("cancelled", next_step="free the disk"), "cancelled"),
    ],
)
def test_what_failed_keeps_what_to_do_about_it(error, outcome) -> None:
    report = Diary(MemoryStore(), "jobs", SilentReporter(), lambda: NOON).fail(error)
    assert (report.outcome, report.next_step) == (outcome, "free the disk")
