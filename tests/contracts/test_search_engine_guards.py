"""What protects an application's writes: guards, fences, and races against them."""

import random
import threading
from typing import Any

import pytest

from desireline.connectors.documents import Outcome
from desireline.connectors.search_engine import Fence

# Guards.


def test_a_stale_write_loses_and_writes_nothing(shop: Any) -> None:
    shop.put(a="old")
    stale = shop.read()["a"]
    shop.put(a="new")
    assert shop.write(stale, shop.vector(1)) is Outcome.CHANGED
    found = shop.read()["a"]
    assert found.fields["title"] == "new"
    assert not found.stamps
    assert not found.embeddings


def test_a_field_update_makes_an_earlier_read_stale(shop: Any) -> None:
    shop.put(a="old")
    stale = shop.read()["a"]
    shop.engine.update_fields(shop.index, "a", {"title": "new"})
    assert shop.write(stale, shop.vector(1)) is Outcome.CHANGED
    assert not shop.read()["a"].stamps


def test_a_write_into_one_slot_makes_an_earlier_read_stale_for_the_other(shop: Any) -> None:
    shop.put(a="a")
    stale = shop.read()["a"]
    assert shop.write(stale, shop.vector(1)) is Outcome.WRITTEN
    assert shop.write(stale, shop.vector(1), slot=shop.other_slot) is Outcome.CHANGED
    assert shop.write(stale, shop.vector(0, 1), generation=2) is Outcome.CHANGED
    assert shop.read()["a"].stamps[shop.slot.name].generation == 1


def test_of_two_writes_of_one_version_in_a_batch_one_wins(shop: Any) -> None:
    shop.put(a="a")
    document = shop.read()["a"]
    writes = [shop.write_of(document, shop.vector(1)), shop.write_of(document, shop.vector(0, 1))]
    results = shop.engine.write_embeddings(shop.index, shop.slot.name, writes)
    assert sorted(result.outcome for result in results) == ["changed", "written"]


def test_a_write_to_a_deleted_document_is_gone_and_never_resurrects_it(shop: Any) -> None:
    shop.put(a="a", b="b")
    found = shop.read()
    shop.engine.delete_documents(shop.index, ["a"])
    writes = [shop.write_of(found[key], shop.vector(1)) for key in ("a", "b")]
    results = shop.engine.write_embeddings(shop.index, shop.slot.name, writes)
    assert [result.outcome for result in results] == [Outcome.GONE, Outcome.WRITTEN]
    assert shop.read().keys() == {"b"}
    assert shop.nearest(1) == ["b"]


def test_a_read_of_a_document_that_was_deleted_and_made_again_is_stale(shop: Any) -> None:
    shop.put(a="old")
    stale = shop.read()["a"]
    shop.engine.delete_documents(shop.index, ["a"])
    shop.put(a="new")
    assert shop.write(stale, shop.vector(1)) is Outcome.CHANGED
    assert not shop.read()["a"].stamps


def test_deleting_what_is_not_there_is_no_error(shop: Any) -> None:
    shop.put(a="a")
    shop.engine.delete_documents(shop.index, ["absent", "a"])
    shop.engine.delete_documents(shop.index, [])
    assert shop.read() == {}


# Fences.


def test_changes_since_a_fence_are_exactly_what_was_written_after_it(shop: Any) -> None:
    shop.put(a="a", b="b", c="c", d="d")
    documents = shop.read()
    fence = shop.engine.fence(shop.index)
    assert shop.changed(fence) == {}
    shop.put(b="new", e="e")
    shop.engine.update_fields(shop.index, "c", {"title": "changed"})
    shop.write(documents["d"], shop.vector(1))
    changed = shop.changed(fence)
    assert {key: document.fields["title"] for key, document in changed.items()} == {
        "b": "new",
        "c": "changed",
        "d": "d",
        "e": "e",
    }
    assert changed["d"].stamps[shop.slot.name] == shop.stamp(1)
    assert shop.changed(shop.engine.fence(shop.index)) == {}


def test_changes_leave_the_deleted_out(shop: Any) -> None:
    shop.put(a="a", b="b")
    fence = shop.engine.fence(shop.index)
    shop.put(a="new", c="c")
    shop.engine.delete_documents(shop.index, ["a", "b"])
    assert shop.changed(fence).keys() == {"c"}


def test_writes_after_the_second_fence_are_left_for_the_next_read(shop: Any) -> None:
    shop.put(a="a")
    since = shop.engine.fence(shop.index)
    shop.put(b="b")
    until = shop.engine.fence(shop.index)
    shop.put(c="c")
    found = [d for batch in shop.engine.changes(shop.index, since, until, shop.all) for d in batch]
    assert [document.document_id for document in found] == ["b"]
    assert shop.changed(until).keys() == {"c"}


def test_a_fence_after_the_latest_document_was_deleted_still_sees_the_next_write(
    shop: Any,
) -> None:
    shop.put(a="a")
    shop.put(b="b")
    fence = shop.engine.fence(shop.index)
    shop.engine.delete_documents(shop.index, ["b"])
    shop.put(c="c")
    assert shop.changed(fence).keys() == {"c"}


def test_an_empty_fence_reads_everything(shop: Any) -> None:
    shop.put(a="a", b="b")
    assert shop.changed(Fence(positions={})).keys() == {"a", "b"}


def test_a_fence_of_an_index_dropped_and_made_again_reads_the_new_one_whole(shop: Any) -> None:
    shop.put(**{f"d{number}": "x" for number in range(20)})
    fence = shop.engine.fence(shop.index)
    shop.engine.drop_index(shop.index)
    shop.engine.create_index(shop.index, ["title", "description"])
    shop.put(a="a")
    assert shop.changed(fence).keys() == {"a"}


def test_a_fence_survives_its_way_through_a_checkpoint(shop: Any) -> None:
    shop.put(a="a")
    fence = Fence(positions=shop.engine.fence(shop.index).to_json())
    shop.put(b="b")
    assert shop.changed(fence).keys() == {"b"}


# Races.


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_write_of_an_application_is_lost_to_guarded_writes_racing_it(
    shop: Any, seed: int
) -> None:
    keys = [f"d{number}" for number in range(8)]
    shop.put(**dict.fromkeys(keys, "0"))
    done = threading.Event()
    problems: list[BaseException] = []

    def embed() -> None:
        try:
            while not done.is_set():
                writes = [shop.write_of(d, shop.vector(1)) for d in shop.read().values()]
                shop.engine.write_embeddings(shop.index, shop.slot.name, writes)
        except BaseException as problem:  # noqa: BLE001 - raised again in the test's own thread
            problems.append(problem)

    embedders = [threading.Thread(target=embed) for _ in range(2)]
    for thread in embedders:
        thread.start()
    expected = _play_application(shop, random.Random(seed), keys)
    done.set()
    for thread in embedders:
        thread.join()
    assert problems == []
    assert {key: d.fields["title"] for key, d in shop.read().items()} == expected


def _play_application(shop: Any, chance: random.Random, keys: list[str]) -> dict[str, str]:
    expected = dict.fromkeys(keys, "0")
    for step in range(40):
        key, text = chance.choice(keys), f"step {step}"
        act = chance.choice(["put", "put", "update", "delete"])
        if act == "put":
            shop.put(**{key: text})
            expected[key] = text
        elif act == "update" and key in expected:
            shop.engine.update_fields(shop.index, key, {"title": text})
            expected[key] = text
        elif act == "delete":
            shop.engine.delete_documents(shop.index, [key])
            expected.pop(key, None)
    return expected


def test_a_vector_never_ends_on_a_text_it_was_not_made_from(shop: Any) -> None:
    """The digest of each stamp must be of the text beside it, whatever the race."""
    keys = [f"d{number}" for number in range(6)]
    shop.put(**dict.fromkeys(keys, "0"))
    done = threading.Event()

    def embed() -> None:
        while not done.is_set():
            writes = [
                shop.write_of(d, shop.vector(1, int(d.fields["title"])), int(d.fields["title"]))
                for d in shop.read().values()
            ]
            shop.engine.write_embeddings(shop.index, shop.slot.name, writes)

    embedder = threading.Thread(target=embed)
    embedder.start()
    for step in range(1, 30):
        # Whole documents: a stamp that stands was written after this text was.
        shop.put(**{keys[step % len(keys)]: str(step)})
    done.set()
    embedder.join()
    for document in shop.read().values():
        stamp = document.stamps.get(shop.slot.name)
        if stamp is not None:
            assert stamp.generation == int(document.fields["title"])
            assert document.embeddings[shop.slot.name][1] == stamp.generation
