"""A new index behind the alias: the whole way and back, on memory and on a real node."""

from typing import Any

import pytest

from desireline.connectors.documents import Document
from desireline.connectors.errors import StateConflictError, WriteBlockedError
from desireline.sidecar.building import put_live
from desireline.sidecar.errors import RevertRefusedError
from desireline.sidecar.generations import State
from desireline.sidecar.ways.index_recovery import is_left_over
from desireline.sidecar.ways.index_way import begin_index


def test_the_alias_names_a_copy_with_a_vector_for_every_document(shop: Any) -> None:
    before = shop.titles()
    swapped = shop.reindex()
    assert shop.engine.alias_state(shop.alias).index == f"{shop.alias}-gen-1"
    assert shop.titles() == before
    shop.is_whole()
    assert swapped.pause_s is not None
    assert "writes had waited" in swapped.sentence


def test_writes_go_to_the_new_index_and_fail_loudly_at_the_old_one(shop: Any) -> None:
    shop.reindex()
    shop.put(fresh="written after")
    assert shop.titles()["fresh"] == "written after"
    with pytest.raises(WriteBlockedError):
        shop.engine.index_documents(
            shop.index, [Document(document_id="late", fields={"title": "late"})]
        )


def test_another_dimension_gets_an_index_of_its_own(shop: Any) -> None:
    shop.reindex(0)
    shop.reindex(2)
    assert shop.live().dimension == 24
    assert shop.states() == {1: State.RETAINED, 2: State.LIVE}
    shop.is_whole()


def test_a_revert_brings_every_later_write_and_delete_into_the_former_index(shop: Any) -> None:
    shop.reindex(0)
    shop.reindex(2)
    shop.put(fresh="new one", d1="changed")
    shop.engine.update_fields(shop.alias, "d2", {"description": "more"})
    shop.delete("d3")
    expected = shop.titles()
    back = shop.revert()
    assert back.generation == 1
    assert shop.titles() == expected
    assert shop.states() == {1: State.LIVE, 2: State.RETAINED}
    shop.is_whole()


def test_a_revert_can_be_reverted(shop: Any) -> None:
    shop.reindex(0)
    shop.reindex(1)
    shop.revert()
    shop.put(d1="after the revert")
    shop.delete("d4")
    shop.revert()
    assert shop.live().number == 2
    assert shop.titles()["d1"] == "after the revert"
    assert "d4" not in shop.titles()
    shop.is_whole()


def test_a_slot_generation_in_the_old_index_can_be_reverted_to(shop: Any) -> None:
    """The old index is the user's, its versions are counted by the engine."""
    from datetime import timedelta

    from desireline.sidecar.backfill import backfill
    from desireline.sidecar.cutover import cut_over
    from desireline.sidecar.reports.reporting import SilentReporter

    with shop.run() as run:
        encoder = shop.encoders[shop.fingerprints[0]]
        first = run.target.generations.create(
            index=shop.index,
            slot="embedding__a",
            dimension=encoder.dimension,
            similarity=encoder.similarity,
            fingerprint=encoder.fingerprint,
            created_at=shop.now,
        )
        shop.engine.prepare_slot(shop.index, first.vector_slot)
        backfill(shop.engine, run.writer(first), batch_size=5, reporter=SilentReporter())
        first = run.target.generations.change(
            first, state=State.READY, caught_up=shop.engine.fence(shop.index).to_json()
        )
        cut_over(
            run.target.generations,
            first,
            lease=run.lease,
            hold=timedelta(hours=12),
            reason="test",
            clock=lambda: shop.now,
        )
    shop.reindex(2)
    shop.put(fresh="new", d1="changed")
    shop.delete("d2")
    expected = shop.titles()
    shop.revert()
    assert shop.engine.alias_state(shop.alias).index == shop.index
    assert shop.titles() == expected
    shop.is_whole()
    label = shop.engine.label(shop.index)
    assert label.generation is None
    assert not label.ours
    shop.put(after="the application writes on")
    assert shop.titles()["after"] == "the application writes on"


def test_without_a_former_generation_there_is_no_way_back(shop: Any) -> None:
    shop.reindex()
    with pytest.raises(RevertRefusedError, match="no retained generation"):
        shop.revert()


def test_a_hold_that_is_given_up_lets_its_index_go_before_its_time(shop: Any) -> None:
    shop.reindex(0)
    shop.reindex(1)
    first = shop.target.generations.get(1).index
    assert not is_left_over(shop.target)
    shop.target.generations.give_up_way_back(now=shop.now, force=True)
    assert is_left_over(shop.target)
    with shop.target.owned() as lease:
        told = shop.mend(shop.target, lease)
    assert any(f"{first!r}, made by desireline, was deleted" in sentence for sentence in told)
    assert not is_left_over(shop.target)
    shop.is_whole()


def test_when_the_hold_ends_the_users_index_is_let_go_and_ours_deleted(shop: Any) -> None:
    shop.reindex(0)
    shop.now += __import__("datetime").timedelta(hours=13)
    with shop.target.owned() as lease:
        (told,) = shop.mend(shop.target, lease)
    assert "takes writes again" in told
    shop.engine.index_documents(shop.index, [Document(document_id="x", fields={"title": "x"})])
    assert "x" not in shop.titles()
    shop.reindex(1)
    first = shop.target.generations.get(1).index
    shop.now += __import__("datetime").timedelta(hours=13)
    with shop.target.owned() as lease:
        (told,) = shop.mend(shop.target, lease)
        assert shop.mend(shop.target, lease) == ()
    assert f"{first!r}, made by desireline, was deleted" in told
    assert shop.blocks.all() == []
    shop.is_whole()


def test_no_copy_reaches_an_index_that_serves(shop: Any) -> None:
    """Invariants 2 and 17: a batch that was under way when the alias moved is refused."""
    held: list[Any] = []
    send = shop.engine.write_copies

    def keep(name: str, slot: str, writes: Any) -> Any:
        held.append((name, slot, writes))
        return send(name, slot, writes)

    shop.engine.write_copies = keep
    shop.reindex(0)
    shop.delete("d3")
    for name, slot, writes in held:
        with pytest.raises(StateConflictError):
            send(name, slot, writes)
    assert "d3" not in shop.titles()


def test_a_copy_of_an_index_that_the_alias_left_is_not_gone_on_with(memory_shop: Any) -> None:
    """A generation that a sleeping owner began is given up once the alias points elsewhere."""
    memory_shop.reindex(0)
    first = memory_shop.live()
    with memory_shop.run(memory_shop.fingerprints[1]) as run:
        begun = begin_index(run, memory_shop.fingerprints[1])
        run.target.generations.change(begun, copied_from=memory_shop.index)
        swapped = put_live(
            memory_shop.target,
            memory_shop.fingerprints[1],
            run.lease,
            memory_shop.reporter,
            reason="test",
            way="index",
        )
    assert memory_shop.states()[begun.number] is State.CANCELLED
    assert memory_shop.target.generations.get(swapped.generation).copied_from == first.index
    memory_shop.is_whole()
