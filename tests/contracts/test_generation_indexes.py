"""Every engine with generation indexes keeps these promises."""

from typing import Any

import numpy as np
import pytest

from desireline.connectors.documents import Outcome, Stamp
from desireline.connectors.errors import (
    MappingConflictError,
    StateConflictError,
    WriteBlockedError,
)
from desireline.connectors.generation_indexes import (
    CopyDelete,
    CopyWrite,
    DocumentKey,
    GenerationIndexes,
    IndexLabel,
    IndexOverrides,
    after,
    sequence_version,
)
from desireline.connectors.search_engine import Fence, Slot

pytestmark = pytest.mark.parametrize(
    "engine", ["memory", pytest.param("opensearch", marks=pytest.mark.opensearch)], indirect=True
)
SLOT = Slot(name="embedding__a", dimension=16)
START = Fence(positions={})


@pytest.fixture
def copied(shop: Any) -> Any:
    """Names a new index beside the shop's; both are dropped at the end."""
    assert isinstance(shop.engine, GenerationIndexes)
    name = f"{shop.index}-gen-1"
    label = IndexLabel(target="t", generation=1, copied_from=shop.index, versions="sequence")
    shop.engine.create_generation_index(shop.index, name, SLOT, label, IndexOverrides())
    yield name
    shop.engine.drop_index(name)


def copy_of(document: Any, version: int, **more: Any) -> CopyWrite:
    fields: dict[str, Any] = {
        "document_id": document.document_id,
        "routing": document.routing,
        "source": document.source,
        "version": version,
        "vector": np.eye(16, dtype=np.float32)[0],
        "stamp": Stamp(generation=1, digest="d" * 64, fencing=7),
    }
    return CopyWrite(**{**fields, **more})


def read(shop: Any, index: str, since: Fence = START) -> dict[str, Any]:
    until = shop.engine.fence(index)
    pages = list(shop.engine.read_whole(index, since, until, 2))
    found = [document for page in pages for document in page]
    assert [d.seq_no for d in found] == sorted(d.seq_no for d in found)
    return {document.document_id: document for document in found}


def outcomes(results: Any) -> list[Outcome]:
    return [result.outcome for result in results]


def copy_all(shop: Any, copied: str) -> None:
    writes = [copy_of(d, sequence_version(1, d.seq_no)) for d in read(shop, shop.index).values()]
    assert set(outcomes(shop.engine.write_copies(copied, SLOT.name, writes))) == {Outcome.WRITTEN}


def test_a_copy_has_the_fields_and_is_found_by_its_vector(shop: Any, copied: str) -> None:
    shop.put(a="red shoe", b="blue shoe", c="green shoe")
    copy_all(shop, copied)
    assert shop.engine.count(copied) == 3
    before, now = read(shop, shop.index), read(shop, copied)
    assert {key: d.source for key, d in now.items()} == {k: d.source for k, d in before.items()}
    assert now["a"].stamps["embedding__a"].generation == 1
    assert shop.engine.coverage(copied, SLOT.name, 1).complete
    query = np.eye(16, dtype=np.float32)[0]
    hits = shop.engine.search_vectors(copied, SLOT.name, query, 3, generation=1)
    assert {hit.document_id for hit in hits} == {"a", "b", "c"}


def test_only_what_was_written_between_two_fences_is_read(shop: Any, copied: str) -> None:
    shop.put(a="a", b="b")
    since = shop.engine.fence(shop.index)
    shop.put(b="b2", c="c")
    assert read(shop, shop.index, since).keys() == {"b", "c"}


def test_of_two_owners_the_later_wins_and_of_two_writes_the_newer(shop: Any, copied: str) -> None:
    """Invariant 17: a paused owner that wakes writes nothing that stays."""
    shop.put(a="old")
    document = read(shop, shop.index)["a"]

    def write(fencing: int, seq_no: int, title: str) -> Outcome:
        changed = copy_of(document, sequence_version(fencing, seq_no), source={"title": title})
        return outcomes(shop.engine.write_copies(copied, SLOT.name, [changed]))[0]

    assert write(2, 5, "second owner") is Outcome.WRITTEN
    assert write(2, 5, "second owner") is Outcome.WRITTEN  # its own write, sent again
    assert write(1, 9, "first owner wakes") is Outcome.CHANGED
    assert write(2, 4, "older write") is Outcome.CHANGED
    assert read(shop, copied)["a"].source == {"title": "second owner"}


def test_a_delete_keeps_late_copies_away_but_not_what_was_written_again(
    shop: Any, copied: str
) -> None:
    """Invariant 2: no copy that was under way brings a document back."""
    shop.put(a="old")
    document = read(shop, shop.index)["a"]
    late = copy_of(document, sequence_version(3, document.seq_no))
    shop.engine.write_copies(copied, SLOT.name, [late])
    delete = CopyDelete(document_id="a", routing=None, version=after(late.version, 3))
    assert outcomes(shop.engine.delete_copies(copied, [delete])) == [Outcome.WRITTEN]
    assert outcomes(shop.engine.write_copies(copied, SLOT.name, [late])) == [Outcome.CHANGED]
    assert shop.engine.count(copied) == 0
    again = copy_of(document, sequence_version(3, document.seq_no + 1))
    assert outcomes(shop.engine.write_copies(copied, SLOT.name, [again])) == [Outcome.WRITTEN]


def test_a_delete_beats_a_former_owners_copy_and_no_later_write_of_a_younger_source(
    shop: Any, copied: str
) -> None:
    """Invariants 1 and 2: the number of a former owner's copy says nothing about the source."""
    shop.put(a="old")
    document = read(shop, shop.index)["a"]
    former = copy_of(document, sequence_version(3, 1_000))
    shop.engine.write_copies(copied, SLOT.name, [former])
    delete = CopyDelete(document_id="a", routing=None, version=after(former.version, 4))
    assert outcomes(shop.engine.delete_copies(copied, [delete])) == [Outcome.WRITTEN]
    assert outcomes(shop.engine.write_copies(copied, SLOT.name, [former])) == [Outcome.CHANGED]
    again = copy_of(document, sequence_version(4, 2))
    assert outcomes(shop.engine.write_copies(copied, SLOT.name, [again])) == [Outcome.WRITTEN]


def test_a_former_owner_writes_no_copy(shop: Any, copied: str) -> None:
    """Invariants 2 and 17: where no tombstone was left, no version would keep a copy out."""
    shop.put(a="a")
    write = copy_of(read(shop, shop.index)["a"], sequence_version(1, 0))
    first = shop.engine.own_copies(copied, 1)
    second = shop.engine.own_copies(copied, 2)
    assert shop.engine.own_copies(copied, 2) == second
    with pytest.raises(StateConflictError):
        shop.engine.write_copies(first, SLOT.name, [write])
    delete = CopyDelete(document_id="a", routing=None, version=write.version)
    with pytest.raises(StateConflictError):
        shop.engine.delete_copies(first, [delete])
    assert shop.engine.count(copied) == 0
    assert outcomes(shop.engine.write_copies(second, SLOT.name, [write])) == [Outcome.WRITTEN]


def test_absence_is_known_at_once_and_ids_are_listed_with_their_version(
    shop: Any, copied: str
) -> None:
    shop.put(a="a", b="b")
    copy_all(shop, copied)
    shop.engine.delete_documents(shop.index, ["a"])
    keys = [key for page in shop.engine.document_keys(copied, 1) for key in page]
    assert {key.document_id for key in keys} == {"a", "b"}
    assert all(key.number >> 40 == 1 for key in keys)
    assert [key.document_id for key in shop.engine.absent(shop.index, keys)] == ["a"]
    (found,) = shop.engine.fetch_whole(shop.index, keys)
    assert found.document_id == "b"


def test_a_blocked_index_takes_no_write_of_anyone(shop: Any, copied: str) -> None:
    shop.put(a="a")
    shop.engine.block_writes(shop.index, "t-gen-1-ticket-1-1")
    assert shop.engine.is_blocked(shop.index)
    with pytest.raises(WriteBlockedError):
        shop.put(a="b")
    assert read(shop, shop.index)["a"].source == {"title": "a"}
    shop.engine.block_writes(shop.index)
    assert shop.engine.is_blocked(shop.index)
    shop.engine.unblock_writes(shop.index)
    shop.engine.unblock_writes(shop.index)
    assert not shop.engine.is_blocked(shop.index)
    shop.put(a="b")


def test_an_alias_that_is_none_does_not_move(shop: Any, copied: str) -> None:
    assert not shop.engine.alias_state(shop.index).is_alias
    with pytest.raises(StateConflictError):
        shop.engine.swap_alias(f"{shop.index}-alias", shop.index, copied, "x-ticket-1-1")


def test_creating_it_again_is_safe_and_a_stranger_is_refused(shop: Any, copied: str) -> None:
    label = shop.engine.label(copied)
    shop.engine.create_generation_index(shop.index, copied, SLOT, label, IndexOverrides())
    other = IndexLabel(target="t", generation=2, copied_from=shop.index, versions="sequence")
    with pytest.raises(MappingConflictError):
        shop.engine.create_generation_index(shop.index, copied, SLOT, other, IndexOverrides())


def test_only_an_index_of_ours_is_dropped(shop: Any, copied: str) -> None:
    with pytest.raises(MappingConflictError):
        shop.engine.drop_generation_index(shop.index)
    shop.engine.drop_generation_index(copied)
    shop.engine.drop_generation_index(copied)
    shop.put(a="still there")


def test_who_numbers_the_documents_is_seen_from_the_label(shop: Any, copied: str) -> None:
    shop.put(a="a", b="b")
    shop.put(a="a2")
    assert shop.engine.versions_of(shop.index) == "sequence"
    assert shop.engine.versions_of(copied) == "sequence"
    mark = IndexLabel(target="t", generation=None, copied_from=copied, versions="external")
    shop.engine.put_label(shop.index, mark)
    assert shop.engine.versions_of(shop.index) == "external"
    assert shop.engine.label(shop.index) == mark


def test_keys_of_documents_that_are_gone_are_left_out(shop: Any, copied: str) -> None:
    gone = DocumentKey(document_id="never", routing=None, number=0)
    assert shop.engine.fetch_whole(shop.index, [gone]) == []
    assert shop.engine.absent(shop.index, [gone]) == [gone]
    assert shop.engine.absent(shop.index, []) == []
