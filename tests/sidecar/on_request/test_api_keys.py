from datetime import UTC, datetime

import pytest

from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.on_request.api_keys import API_KEY, ApiKeyError, ApiKeys, Scope


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_a_key_opens_what_it_was_made_for(store: MemoryStore) -> None:
    keys = ApiKeys(store)
    key = keys.check(keys.create("shop", ["search", "embed"]))
    assert key is not None
    assert key.name == "shop"
    assert [key.allows(scope) for scope in (Scope.SEARCH, Scope.EMBED, Scope.READ)] == [
        True,
        True,
        False,
    ]


def test_an_admin_key_opens_everything(store: MemoryStore) -> None:
    keys = ApiKeys(store)
    key = keys.check(keys.create("root", ["admin"]))
    assert key is not None
    assert all(key.allows(scope) for scope in Scope)


def test_the_store_never_holds_the_key(store: MemoryStore) -> None:
    plaintext = ApiKeys(store).create("shop", ["search"])
    assert plaintext.startswith("dl_")
    secret = plaintext.split("_", 2)[2]
    assert len(secret) == 43
    (record,) = store.list(API_KEY)
    assert secret not in str(record)


def test_two_keys_of_one_name_differ(store: MemoryStore) -> None:
    keys = ApiKeys(store)
    assert keys.create("shop", ["search"]) != keys.create("shop", ["search"])
    assert [key.name for key in keys.list()] == ["shop", "shop"]


@pytest.mark.parametrize(
    "changed",
    [
        lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"),
        lambda key: key + "x",
        lambda key: key.split("_", 2)[1],
        lambda key: "dl_" + key.split("_", 2)[1] + "_",
        lambda key: key.replace("dl_", "sk_"),
        lambda key: "",
        lambda key: "dl__",
        lambda key: "dl_\ud800_x",
    ],
)
def test_a_key_that_is_not_quite_right_is_unknown(store: MemoryStore, changed) -> None:
    keys = ApiKeys(store)
    assert keys.check(changed(keys.create("shop", ["search"]))) is None


def test_a_revoked_key_is_unknown_at_once_in_the_same_process(store: MemoryStore) -> None:
    keys = ApiKeys(store)
    plaintext = keys.create("shop", ["search"])
    key = keys.check(plaintext)
    assert key is not None
    assert keys.revoke(key.key_id)
    assert keys.check(plaintext) is None
    assert not keys.revoke(key.key_id)


def test_a_key_revoked_by_another_process_works_only_as_long_as_it_is_remembered(
    store: MemoryStore,
) -> None:
    clock = Clock()
    here, there = ApiKeys(store, remember_s=5, monotonic=clock), ApiKeys(store)
    plaintext = here.create("shop", ["search"])
    key = here.check(plaintext)
    assert key is not None
    there.revoke(key.key_id)
    clock.seconds = 4.9
    assert here.check(plaintext) is not None
    clock.seconds = 5.1
    assert here.check(plaintext) is None


def test_a_flood_of_wrong_keys_does_not_grow_the_memory(store: MemoryStore) -> None:
    keys = ApiKeys(store)
    for number in range(3000):
        keys.check(f"dl_{number}_wrong")
    assert len(keys._known) <= 1024


@pytest.mark.parametrize(
    ("name", "scopes", "said"),
    [
        ("", ["search"], "lacks a name"),
        ("shop", [], "opens nothing"),
        ("shop", ["serach"], "serach do not exist"),
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(
    store: MemoryStore, name: str, scopes: list[str], said: str
) -> None:
    with pytest.raises(ApiKeyError, match=said) as caught:
        ApiKeys(store).create(name, scopes)
    assert "search" in caught.value.next_step
    assert store.list(API_KEY) == []


def test_keys_are_listed_oldest_first_without_their_secret(store: MemoryStore) -> None:
    days = iter([datetime(2026, 5, 2, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)])
    keys = ApiKeys(store, now=lambda: next(days))
    keys.create("younger", ["read"])
    keys.create("older", ["read"])
    assert [key.name for key in keys.list()] == ["older", "younger"]
