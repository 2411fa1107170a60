"""One owner at a time, whatever clocks say and whoever sleeps."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from desireline.connectors.errors import StateUnavailableError
from desireline.connectors.stores.memory import MemoryStore
from desireline.connectors.stores.sqlite import SqliteStore
from desireline.sidecar.errors import LeaseHeldError, LeaseLostError
from desireline.sidecar.lease import Lease, acquire, hold_lease


def test_a_second_owner_is_refused_with_the_name_of_the_first() -> None:
    store = MemoryStore()
    acquire(store, "jobs", ttl_s=30)
    with pytest.raises(LeaseHeldError, match=f"process {os.getpid()}"):
        acquire(store, "jobs", ttl_s=30)


def test_a_released_lease_is_taken_at_once_with_a_higher_number() -> None:
    store = MemoryStore()
    with hold_lease(store, "jobs", ttl_s=30) as first:
        pass
    with hold_lease(store, "jobs", ttl_s=30) as second:
        assert second.fencing == first.fencing + 1


def test_one_of_many_racing_owners_wins() -> None:
    store = MemoryStore()
    barrier = threading.Barrier(8)
    won: list[Lease] = []

    def race() -> None:
        barrier.wait()
        try:
            won.append(acquire(store, "jobs", ttl_s=30))
        except LeaseHeldError:
            return

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_the_lease_of_a_killed_process_is_taken_without_waiting(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    code = (
        "import sys; from pathlib import Path;"
        "from desireline.connectors.stores.sqlite import SqliteStore;"
        "from desireline.sidecar.lease import acquire;"
        "acquire(SqliteStore(Path(sys.argv[1])), 'jobs', ttl_s=3600);"
        "print('held', flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"held\n"
    store = SqliteStore(path)
    with pytest.raises(LeaseHeldError):
        acquire(store, "jobs", ttl_s=3600)
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    assert acquire(store, "jobs", ttl_s=3600).fencing == 2
    store.close()


def test_a_silent_owner_on_another_host_is_outwaited_and_a_living_one_is_not() -> None:
    store = MemoryStore()
    elsewhere = {"host": "elsewhere", "pid": 1, "started": "1"}
    record = store.put(
        "lease", "jobs", {"owner": elsewhere, "fencing": 4, "beat": 0}, expected=None
    )
    slept: list[float] = []
    assert acquire(store, "jobs", ttl_s=30, sleep=slept.append).fencing == 5
    assert sum(slept) >= 30

    store = MemoryStore()
    record = store.put(
        "lease", "jobs", {"owner": elsewhere, "fencing": 4, "beat": 0}, expected=None
    )

    def beats_meanwhile(_: float) -> None:
        nonlocal record
        body = {**record.body, "beat": record.body["beat"] + 1}
        record = store.put("lease", "jobs", body, expected=record)

    with pytest.raises(LeaseHeldError, match="elsewhere"):
        acquire(store, "jobs", ttl_s=30, sleep=beats_meanwhile)


def test_an_owner_that_was_paused_longer_than_its_lease_writes_nothing() -> None:
    store = MemoryStore()
    now = 0.0
    record = store.put(
        "lease", "jobs", {"owner": {"pid": 1}, "fencing": 1, "beat": 0}, expected=None
    )
    lease = Lease(store, record, 30, monotonic=lambda: now)
    lease.check()
    now = 21.0
    with pytest.raises(LeaseLostError, match=r"resumes|last sign of life"):
        lease.check()
    lease.beat()
    with pytest.raises(LeaseLostError):
        lease.check()


def test_an_owner_whose_record_was_taken_knows_at_its_next_beat() -> None:
    store = MemoryStore()
    lease = acquire(store, "jobs", ttl_s=30)
    record = store.get("lease", "jobs")
    assert record is not None
    store.put("lease", "jobs", {**record.body, "fencing": 9}, expected=record)
    lease.beat()
    with pytest.raises(LeaseLostError, match="another process took it"):
        lease.check()


class Deaf(MemoryStore):
    """A store that carries writes out, or not, and does not say so while it is deaf."""

    def __init__(self) -> None:
        super().__init__()
        self.deaf = self.writes_anyway = False

    def put(self, kind, key, body, *, expected):
        if not self.deaf:
            return super().put(kind, key, body, expected=expected)
        if self.writes_anyway:
            super().put(kind, key, body, expected=expected)
        raise StateUnavailableError("no answer")


def test_a_beat_whose_answer_was_lost_does_not_lose_the_lease() -> None:
    store = Deaf()
    lease = acquire(store, "jobs", ttl_s=30)
    store.deaf = store.writes_anyway = True
    with pytest.raises(StateUnavailableError):
        lease.beat()
    store.deaf = False
    lease.beat()
    lease.check()
    lease.beat()
    lease.check()


@pytest.mark.parametrize("lost", [False, True])
def test_a_process_that_could_not_say_it_left_takes_its_own_lease_again(lost: bool) -> None:
    store = Deaf()
    with hold_lease(store, "jobs", ttl_s=30) as first:
        if lost:
            first._lost = "its last sign of life is 21 s old"
        store.deaf = True
    store.deaf = False
    with hold_lease(store, "jobs", ttl_s=30) as second:
        assert second.fencing == first.fencing + 1


def test_a_process_that_could_not_say_it_left_does_not_take_what_it_holds_elsewhere() -> None:
    store = Deaf()
    with hold_lease(store, "jobs", ttl_s=30):
        store.deaf = True
    store.deaf = False
    with hold_lease(store, "jobs", ttl_s=30), pytest.raises(LeaseHeldError):
        acquire(store, "jobs", ttl_s=30)
