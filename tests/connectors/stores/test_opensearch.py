"""What only the records on a cluster can get wrong."""

from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch

from desireline.connectors.errors import StateConflictError
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.stores.opensearch import OpenSearchStore

pytestmark = pytest.mark.opensearch


@pytest.fixture
def suffix(index_prefix: str) -> str:
    return f"{index_prefix}state"


@pytest.fixture
def store(opensearch_url: str, suffix: str) -> Iterator[OpenSearchStore]:
    built = OpenSearchStore(OpenSearchSettings(url=opensearch_url), suffix)
    yield built
    built.close()


@pytest.fixture
def client(opensearch_url: str) -> Iterator[OpenSearch]:
    built = OpenSearch(opensearch_url, timeout=30)
    yield built
    built.close()


def test_bodies_of_any_shape_leave_the_mapping_alone(
    store: OpenSearchStore, client: OpenSearch, suffix: str
) -> None:
    store.put("pointer", "a", {"x": 1}, expected=None)
    store.put("pointer", "b", {"x": {"y": ["z"]}, "": None}, expected=None)
    assert [dict(record.body) for record in store.list("pointer")] == [
        {"x": 1},
        {"x": {"y": ["z"]}, "": None},
    ]
    (held,) = client.indices.get_mapping(index=f".desireline-{suffix}").values()
    assert set(held["mappings"]["properties"]) == {"kind", "key", "body"}


def test_the_index_is_hidden_from_the_users_patterns(
    store: OpenSearchStore, client: OpenSearch, suffix: str
) -> None:
    store.put("lease", "a", {}, expected=None)
    assert f".desireline-{suffix}" not in client.indices.get(index="*")


def test_a_list_holds_more_than_one_page(
    store: OpenSearchStore, client: OpenSearch, suffix: str
) -> None:
    store.put("cycle", "0000", {"n": 0}, expected=None)
    lines: list[dict[str, object]] = []
    for number in range(1, 1201):
        lines += [{"index": {}}, {"kind": "cycle", "key": f"{number:04}", "body": {"n": number}}]
    client.bulk(index=f".desireline-{suffix}", body=lines)
    assert [record.body["n"] for record in store.list("cycle")] == list(range(1201))


def test_two_stores_that_start_at_once_make_one_index(opensearch_url: str, suffix: str) -> None:
    settings = OpenSearchSettings(url=opensearch_url)
    first, second = OpenSearchStore(settings, suffix), OpenSearchStore(settings, suffix)
    record = first.put("lease", "a", {"owner": 1}, expected=None)
    with pytest.raises(StateConflictError, match="lease record 'a'"):
        second.put("lease", "a", {"owner": 2}, expected=None)
    taken = second.put("lease", "a", {"owner": 2}, expected=record)
    assert first.get("lease", "a") == taken


def test_a_write_that_met_its_own_echo_is_no_conflict(
    store: OpenSearchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that is sent again after a lost answer finds what it wrote itself."""
    call = store._cluster.call

    def sent_twice(method: str, path: str, **more: object) -> object:
        answer = call(method, path, **more)  # type: ignore[arg-type]
        return call(method, path, **more) if method == "PUT" and "_create" in path else answer  # type: ignore[arg-type]

    monkeypatch.setattr(store._cluster, "call", sent_twice)
    record = store.put("lease", "a", {"owner": 1}, expected=None)
    assert store.get("lease", "a") == record


def test_kinds_and_keys_of_any_letters_do_not_meet(store: OpenSearchStore) -> None:
    names = [("a", "bc"), ("ab", "c"), ("a", "b/c?d=é"), ("a", "x" * 2000)]
    for kind, key in names:
        store.put(kind, key, {"key": key}, expected=None)
    found = [store.get(kind, key) for kind, key in names]
    assert [record.body["key"] for record in found if record] == [key for _, key in names]
