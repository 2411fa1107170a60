"""What every state store must do with records changed by compare-and-set."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from desireline.connectors.errors import StateConflictError
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.state_store import Record, StateStore
from desireline.connectors.stores.memory import MemoryStore
from desireline.connectors.stores.opensearch import OpenSearchStore
from desireline.connectors.stores.sqlite import SqliteStore

DURABLE = ["sqlite", pytest.param("opensearch", marks=pytest.mark.opensearch)]


@pytest.fixture
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], StateStore]:
    """Open the same records again, as another process would."""
    if request.param == "memory":
        return MemoryStore
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path / "state" / "desireline.sqlite")
    settings = OpenSearchSettings(url=request.getfixturevalue("opensearch_url"))
    prefix = request.getfixturevalue("index_prefix")
    return lambda: OpenSearchStore(settings, f"{prefix}state")


@pytest.fixture
def store(open_store: Callable[[], StateStore]) -> Iterator[StateStore]:
    opened = open_store()
    yield opened
    opened.close()


each = pytest.mark.parametrize("open_store", ["memory", *DURABLE], indirect=True)
durable = pytest.mark.parametrize("open_store", DURABLE, indirect=True)


@each
def test_what_was_never_written_is_not_there(store: StateStore) -> None:
    assert store.get("pointer", "products") is None
    assert store.list("pointer") == []


@each
def test_a_record_comes_back_as_it_was_put(store: StateStore) -> None:
    body = {"generation": 7, "parts": [1, None, "x"], "deep": {"at": 1.5, "on": True}}
    put = store.put("pointer", "products", body, expected=None)
    assert put == Record(kind="pointer", key="products", body=body, version=put.version)
    assert store.get("pointer", "products") == put
    assert store.list("pointer") == [put]


@each
def test_a_body_changed_after_the_put_does_not_change_the_record(store: StateStore) -> None:
    body = {"list": [1]}
    store.put("a", "k", body, expected=None)
    body["list"].append(2)
    found = store.get("a", "k")
    assert found is not None
    assert found.body == {"list": [1]}
    found.body["list"].append(3)
    again = store.get("a", "k")
    assert again is not None
    assert again.body == {"list": [1]}


@each
def test_creating_what_exists_is_a_conflict(store: StateStore) -> None:
    first = store.put("lease", "products", {"owner": 1}, expected=None)
    with pytest.raises(StateConflictError):
        store.put("lease", "products", {"owner": 2}, expected=None)
    assert store.get("lease", "products") == first


@each
def test_a_put_from_a_stale_record_is_a_conflict_and_writes_nothing(store: StateStore) -> None:
    first = store.put("lease", "products", {"owner": 1}, expected=None)
    second = store.put("lease", "products", {"owner": 2}, expected=first)
    assert second.version != first.version
    with pytest.raises(StateConflictError):
        store.put("lease", "products", {"owner": 3}, expected=first)
    assert store.get("lease", "products") == second


@each
def test_a_put_from_a_deleted_record_is_a_conflict(store: StateStore) -> None:
    record = store.put("lease", "products", {}, expected=None)
    store.delete(record)
    with pytest.raises(StateConflictError):
        store.put("lease", "products", {"owner": 1}, expected=record)
    assert store.get("lease", "products") is None


@each
def test_a_record_deleted_and_made_again_is_another_record(store: StateStore) -> None:
    old = store.put("lease", "products", {"owner": 1}, expected=None)
    store.delete(old)
    new = store.put("lease", "products", {"owner": 1}, expected=None)
    with pytest.raises(StateConflictError):
        store.put("lease", "products", {"owner": 2}, expected=old)
    with pytest.raises(StateConflictError):
        store.delete(old)
    assert store.get("lease", "products") == new


@each
def test_deleting_a_record_that_changed_is_a_conflict(store: StateStore) -> None:
    first = store.put("cycle", "1", {"state": "running"}, expected=None)
    second = store.put("cycle", "1", {"state": "done"}, expected=first)
    with pytest.raises(StateConflictError):
        store.delete(first)
    assert store.get("cycle", "1") == second
    store.delete(second)
    with pytest.raises(StateConflictError):
        store.delete(second)


@each
def test_records_are_listed_by_key_and_kinds_are_kept_apart(store: StateStore) -> None:
    keys = ["b", "a/2", "ключ", "a", "日本", "A", "c d", "a.b%'\"\\"]
    for key in keys:
        store.put("cycle", key, {"key": key}, expected=None)
    store.put("lease", "a", {"key": "other"}, expected=None)
    listed = store.list("cycle")
    assert [record.key for record in listed] == sorted(keys)
    assert [record.body["key"] for record in listed] == sorted(keys)
    assert len(store.list("lease")) == 1
    for record in listed:
        assert store.get("cycle", record.key) == record


@each
def test_a_listed_record_can_be_put_and_deleted(store: StateStore) -> None:
    store.put("cycle", "1", {"n": 1}, expected=None)
    (listed,) = store.list("cycle")
    changed = store.put("cycle", "1", {"n": 2}, expected=listed)
    assert store.list("cycle") == [changed]
    store.delete(store.list("cycle")[0])
    assert store.list("cycle") == []


@each
def test_of_eight_threads_exactly_one_wins_each_round(store: StateStore) -> None:
    record = store.put("counter", "k", {"n": 0, "by": -1}, expected=None)
    barrier = threading.Barrier(8)

    def compete(worker: int, expected: Record) -> Record | None:
        barrier.wait()
        body = {"n": expected.body["n"] + 1, "by": worker}
        try:
            return store.put("counter", "k", body, expected=expected)
        except StateConflictError:
            return None

    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            rounds = pool.map(compete, range(8), [record] * 8)
            (record,) = [won for won in rounds if won is not None]
            assert store.get("counter", "k") == record
    assert record.body["n"] == 10


@each
def test_of_eight_threads_exactly_one_creates(store: StateStore) -> None:
    barrier = threading.Barrier(8)

    def create(worker: int) -> bool:
        barrier.wait()
        try:
            store.put("lease", "k", {"owner": worker}, expected=None)
        except StateConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(8))) == 1


@durable
def test_records_outlive_the_store_that_wrote_them(open_store: Any) -> None:
    first = open_store()
    record = first.put("pointer", "products", {"generation": 7}, expected=None)
    first.close()
    second = open_store()
    assert second.get("pointer", "products") == record
    changed = second.put("pointer", "products", {"generation": 8}, expected=record)
    second.close()
    third = open_store()
    assert third.list("pointer") == [changed]
    third.close()


@durable
def test_two_stores_see_each_other_at_once(open_store: Any) -> None:
    one, two = open_store(), open_store()
    record = one.put("lease", "k", {"owner": "one"}, expected=None)
    assert two.get("lease", "k") == record
    assert two.list("lease") == [record]
    changed = two.put("lease", "k", {"owner": "two"}, expected=record)
    with pytest.raises(StateConflictError):
        one.put("lease", "k", {"owner": "one"}, expected=record)
    assert one.get("lease", "k") == changed
    one.close()
    two.close()
