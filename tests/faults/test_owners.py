"""Invariants 17 and 18: one owner; one that sleeps past its lease writes nothing that counts."""

import signal
import subprocess
import threading
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from desireline.connectors.errors import DesirelineError
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.steering.steps import Step

#: Of the owner that is halted; it is lost after two thirds, and the other one waits 3 s for it.
LEASE = "4s"
#: Just before a write goes out, its lease already checked: only the guard of the write is left.
PAST_THE_LAST_CHECK = {
    "a vector": {
        "where": "sidecar.writing.embedding_writer:EmbeddingWriter._deliver",
        "when": "before",
        "pass": 2,
    },
    "the pointer": {
        "where": "sidecar.generations:Generations.point",
        "when": "before",
        "pass": 2,
    },
}


@pytest.fixture(params=["lancedb", pytest.param("opensearch", marks=pytest.mark.opensearch)])
def trial(request):
    name = "cluster_trial" if request.param == "opensearch" else "embedded_trial"
    return request.getfixturevalue(name)


def sleeps_past_its_lease(trial, point: dict) -> subprocess.CompletedProcess[str]:
    """Halt an owner, let a second finish its work, wake the first; return how it ended."""
    trial.change_config('lease_ttl = "30s"', f'lease_ttl = "{LEASE}"')
    first = subprocess.Popen(
        trial.command(**point, signal="SIGSTOP"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until_halted(first)
        # The other owner has a lease so long that a busy machine does not cost it.
        trial.change_config(f'lease_ttl = "{LEASE}"', 'lease_ttl = "30s"')
        trial.reindex_counted(sleep=lambda seconds: time.sleep(seconds / 10))
        trial.ends_well(trial.encoders.new)
        before = trial.versions()
        first.send_signal(signal.SIGCONT)
        said, _ = first.communicate(timeout=180)
    finally:
        first.kill()
    trial.ends_well(trial.encoders.new)
    now = trial.versions()
    # To own the target is to write one's number into the pointer: the checks above did so.
    assert now.pop("the pointer")[0].generation == before.pop("the pointer")[0].generation
    assert now == before
    return subprocess.CompletedProcess(first.args, first.returncode, said)


def wait_until_halted(process: subprocess.Popen[str]) -> None:
    for _ in range(1_800):
        assert process.poll() is None, process.communicate()
        state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "T":
            return
        time.sleep(0.1)
    raise AssertionError("the first owner never came to the point where it is halted")


@pytest.mark.parametrize("step", [Step.BATCH_ENCODED, Step.CUT_OVER_BEGUN])
def test_an_owner_that_was_halted_past_its_lease_writes_nothing(trial, step: Step) -> None:
    ended = sleeps_past_its_lease(trial, {"step": step.value})
    assert ended.returncode == 3
    assert "lost: its last sign of life" in ended.stdout or "another process took" in ended.stdout


@pytest.mark.parametrize("what", PAST_THE_LAST_CHECK)
def test_nor_does_one_that_was_halted_after_its_last_check(trial, what: str) -> None:
    ended = sleeps_past_its_lease(trial, PAST_THE_LAST_CHECK[what])
    assert ended.returncode == 3, ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize("step", Step)
def test_an_owner_that_was_halted_at_any_step_changes_nothing_any_more(trial, step: Step) -> None:
    ended = sleeps_past_its_lease(trial, {"step": step.value})
    swapped_before = step in {Step.POINTER_WRITTEN, Step.STATES_SETTLED}
    assert swapped_before or ended.returncode == 3, ended.stdout


def test_of_ten_starts_at_once_one_does_the_work(trial) -> None:
    barrier = threading.Barrier(10)
    ends: list[str] = []
    sidecars = [trial.open() for _ in range(10)]

    def start(sidecar) -> None:
        barrier.wait()
        try:
            sidecar.reindex("jobs", trial.encoders.new, SilentReporter())
        except DesirelineError as error:
            ends.append(type(error).__name__)
        else:
            ends.append("went live")

    threads = [threading.Thread(target=start, args=(sidecar,)) for sidecar in sidecars]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for sidecar in sidecars:
        sidecar.close()
    # One that came late found the work done and the former generation held.
    assert Counter(ends)["went live"] == 1
    assert set(ends) <= {"went live", "LeaseHeldError", "HoldError"}
    trial.ends_well(trial.encoders.new)


@pytest.mark.slow
def test_of_ten_processes_at_once_one_does_the_work(trial) -> None:
    processes = [
        subprocess.Popen(trial.command(), stdout=subprocess.PIPE, text=True) for _ in range(10)
    ]
    said = [process.communicate()[0].partition(":")[0] for process in processes]
    ends = Counter(process.returncode for process in processes)
    assert ends == {7: 1, 3: 9}, said
    assert set(said) <= {"", "LeaseHeldError", "HoldError"}
    trial.ends_well(trial.encoders.new)
    assert trial.work()["sent"] == len(trial.documents)


@pytest.mark.parametrize("hours", [1, -1])
def test_clocks_an_hour_apart_change_nothing(trial, hours: int) -> None:
    def skewed() -> datetime:
        return datetime.now(UTC) + timedelta(hours=hours)

    def gives_up(step: Step) -> None:
        if step is Step.BATCH_WRITTEN:
            raise DesirelineError("the process ends here")

    with closing(trial.open(gives_up, clock=skewed)) as sidecar, pytest.raises(DesirelineError):
        sidecar.reindex("jobs", trial.encoders.new, SilentReporter())
    trial.reindex(trial.encoders.new)
    trial.ends_well(trial.encoders.new)
    with closing(trial.open(clock=skewed)) as sidecar:
        assert "generation 1 is live" in sidecar.revert("jobs")
    trial.ends_well(trial.encoders.old)
