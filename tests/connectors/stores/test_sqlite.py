"""The SQLite store's own: other processes, kills, locks, full disks and damaged files."""

import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from desireline.connectors.errors import StateUnavailableError, WriteBlockedError
from desireline.connectors.stores.sqlite import SqliteStore

PRELUDE = """
import sys
from desireline.connectors.errors import StateConflictError
from desireline.connectors.stores.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
"""


def child(path: Path, code: str) -> subprocess.Popen[str]:
    """Start another process on the same file."""
    command = [sys.executable, "-c", PRELUDE + textwrap.dedent(code), str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_that_count_together_lose_no_step(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    store = SqliteStore(path)
    store.put("counter", "k", {"n": 0}, expected=None)
    code = """
    for _ in range(25):
        while True:
            record = store.get("counter", "k")
            try:
                store.put("counter", "k", {"n": record.body["n"] + 1}, expected=record)
                break
            except StateConflictError:
                pass
    """
    children = [child(path, code) for _ in range(3)]
    assert [process.wait() for process in children] == [0, 0, 0]
    record = store.get("counter", "k")
    assert record is not None
    assert record.body == {"n": 75}


def test_a_record_put_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    code = """
    number = 0
    while True:
        store.put("cycle", f"{number:05}", {}, expected=None)
        print(number, flush=True)
        number += 1
    """
    process = child(path, code)
    assert process.stdout is not None
    said = [int(process.stdout.readline()) for _ in range(5)]
    process.send_signal(signal.SIGKILL)
    said += [int(line) for line in process.stdout.read().split()]
    process.wait()
    keys = {record.key for record in SqliteStore(path).list("cycle")}
    assert {f"{number:05}" for number in said} <= keys


def test_a_lock_held_too_long_by_another_process_is_told(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    store = SqliteStore(path, busy_seconds=0.05)
    store.put("pointer", "k", {"n": 1}, expected=None)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StateUnavailableError, match=r"state\.sqlite.*another process"):
        store.put("pointer", "other", {}, expected=None)
    assert store.get("pointer", "k") is not None
    other.execute("ROLLBACK")
    store.put("pointer", "other", {}, expected=None)


def test_a_full_disk_is_told_and_the_records_stay(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.sqlite")
    record = store.put("pointer", "k", {"n": 1}, expected=None)
    store._connection.execute("PRAGMA max_page_count = 10")
    with pytest.raises(WriteBlockedError, match="the disk is full"):
        store.put("pointer", "k", {"big": "x" * 1_000_000}, expected=record)
    assert store.get("pointer", "k") == record
    store.put("pointer", "k", {"n": 2}, expected=record)


def test_a_damaged_file_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    path.write_bytes(b"not a database " * 100)
    with pytest.raises(StateUnavailableError, match=r"state\.sqlite"):
        SqliteStore(path)
    assert path.read_bytes() == b"not a database " * 100


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StateUnavailableError, match="file"):
        SqliteStore(tmp_path / "file" / "state.sqlite")


def test_a_store_may_be_closed_twice_and_then_says_so(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.sqlite")
    store.close()
    store.close()
    with pytest.raises(StateUnavailableError):
        store.get("pointer", "k")
