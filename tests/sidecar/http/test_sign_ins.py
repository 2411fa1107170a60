from datetime import UTC, datetime, timedelta

import pytest

from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.http.sign_ins import SIGN_IN, SignIns
from desireline.sidecar.on_request.api_keys import ApiKeys


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 5, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_a_sign_in_ends_with_its_hours_and_is_swept_by_the_next(store, clock) -> None:
    keys = ApiKeys(store)
    sign_ins = SignIns(keys, hours=12, now=clock)
    plaintext = keys.create("Ada", ["read"])
    first = sign_ins.open(plaintext)
    assert sign_ins.check(first.token).key.name == "Ada"
    clock.at += timedelta(hours=12)
    assert sign_ins.check(first.token) is None
    sign_ins.open(plaintext)
    assert len(store.list(SIGN_IN)) == 1


def test_the_store_cannot_be_used_to_sign_in(store, clock) -> None:
    keys = ApiKeys(store)
    sign_ins = SignIns(keys, hours=12, now=clock)
    opened = sign_ins.open(keys.create("Ada", ["read"]))
    (record,) = store.list(SIGN_IN)
    assert opened.token not in str(record)
    assert sign_ins.check(record.key) is None


def test_another_replica_knows_the_sign_in(store, clock) -> None:
    keys = ApiKeys(store)
    opened = SignIns(keys, hours=12, now=clock).open(keys.create("Ada", ["read"]))
    assert SignIns(ApiKeys(store), hours=12, now=clock).check(opened.token) is not None


def test_every_sign_in_has_a_token_of_its_own(store, clock) -> None:
    keys = ApiKeys(store)
    sign_ins = SignIns(keys, hours=12, now=clock)
    plaintext = keys.create("Ada", ["read"])
    first, second = sign_ins.open(plaintext), sign_ins.open(plaintext)
    assert first.token != second.token
    assert not first.sent(second.form_token)
    assert first.sent(first.form_token)
