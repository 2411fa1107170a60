"""The application writes between any two calls of a run, and the run is killed at any step.

Invariants 1, 2, 4, 5, 9, 10, 11, 13, 15.
"""

import random
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from desireline.connectors.documents import Document
from desireline.connectors.errors import StateConflictError, WriteBlockedError
from desireline.sidecar.errors import CutOverRefusedError
from desireline.sidecar.generations import State
from desireline.sidecar.steering.steps import Step
from desireline.sidecar.ways.write_block import Purpose

#: Methods of the application itself, at which it must not write again.
OWN = {"index_documents", "update_fields", "delete_documents"}


class Killed(BaseException):
    """The process is gone."""


class Writer:
    """An application that writes unique values and remembers what was acknowledged."""

    def __init__(self, shop: Any, seed: int, *, chance: float) -> None:
        self.shop = shop
        self.random = random.Random(seed)
        self.chance = chance
        self.acknowledged = dict(shop.titles())
        self.count = 0
        self.turned_away = 0
        self.dead = False

    def before_call(self, method: str, _index: str) -> None:
        if method in OWN:
            return
        if self.random.random() < self.chance:
            self.write()
        if self.dead:
            raise Killed

    def write(self) -> None:
        key = f"d{self.random.randrange(14)}"
        self.count += 1
        title = f"value {self.count}"
        try:
            match self.random.randrange(4):
                case 0 if key in self.acknowledged:
                    self.shop.delete(key)
                    del self.acknowledged[key]
                case 1 if key in self.acknowledged:
                    self.shop.delete(key)
                    del self.acknowledged[key]
                    self.shop.put(**{key: title})
                    self.acknowledged[key] = title
                case 2 if key in self.acknowledged:
                    self.shop.engine.update_fields(self.shop.alias, key, {"title": title})
                    self.acknowledged[key] = title
                case _:
                    self.shop.put(**{key: title})
                    self.acknowledged[key] = title
        except WriteBlockedError:
            self.turned_away += 1

    def rest(self) -> None:
        self.chance = 0.0


def haunt(shop: Any, seed: int, chance: float = 0.5) -> Writer:
    writer = Writer(shop, seed, chance=chance)
    shop.engine._before_call = writer.before_call
    return writer


def follow(shop: Any) -> None:
    """Embed what was written since the swap."""
    from desireline.sidecar.follower import Follower

    target = shop.target
    with target.owned() as lease:
        Follower(
            engine=target.engine,
            generations=target.generations,
            writer_for=target.writer_for,
            clock=target.clock,
            caught_up=lambda *_: None,
        ).follow_once(lease)


def settled(shop: Any, writer: Writer) -> None:
    """Nothing acknowledged is lost, nothing deleted is back, every vector is of its text."""
    writer.rest()
    assert shop.titles() == writer.acknowledged
    follow(shop)
    shop.is_whole()


@pytest.mark.parametrize("seed", range(40))
def test_no_acknowledged_write_is_lost_whatever_happens_between_two_calls(
    memory_shop: Any, seed: int
) -> None:
    writer = haunt(memory_shop, seed)
    memory_shop.config = {"cut_over_tries": 100, "write_pause": 60}
    memory_shop.reindex(0)
    memory_shop.reindex(2)
    memory_shop.revert()
    assert writer.count > 30
    settled(memory_shop, writer)


@pytest.mark.parametrize(
    "step",
    [
        Step.GENERATION_CREATED,
        Step.INDEX_CREATED,
        Step.BATCH_ENCODED,
        Step.BATCH_WRITTEN,
        Step.BACKFILL_DONE,
        Step.CAUGHT_UP,
        Step.COPY_PROVED,
        Step.BLOCK_RECORDED,
        Step.WRITES_BLOCKED,
        Step.LAST_WRITES_COPIED,
        Step.ALIAS_SWAPPED,
        Step.POINTER_WRITTEN,
        Step.STATES_SETTLED,
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_step_the_next_start_ends_the_same(
    memory_shop: Any, step: Step, seed: int
) -> None:
    memory_shop.reindex(0)
    writer = haunt(memory_shop, seed, chance=0.3)
    left = random.Random(seed).randrange(1, 3)

    def die(reached: Step) -> None:
        nonlocal left
        left -= reached is step
        if reached is step and left <= 0:
            writer.dead = True
            raise Killed

    memory_shop.at = die
    with suppress(Killed):
        memory_shop.reindex(2)
    memory_shop.at = lambda _: None
    writer.dead = False
    with memory_shop.run():
        pass
    assert not any(b.purpose is Purpose.SWAP for b in memory_shop.blocks.all())
    held_up = writer.turned_away
    writer.write()
    assert writer.turned_away == held_up  # invariant 11: the next start lets writes in
    if memory_shop.live().number == 1:
        memory_shop.reindex(2)
    assert memory_shop.states()[2] is State.LIVE
    settled(memory_shop, writer)


@pytest.mark.parametrize(
    "step",
    [
        Step.BATCH_WRITTEN,
        Step.COPY_PROVED,
        Step.WRITES_BLOCKED,
        Step.LAST_WRITES_COPIED,
        Step.ALIAS_SWAPPED,
        Step.POINTER_WRITTEN,
    ],
)
def test_a_revert_killed_at_any_step_is_finished_or_undone(memory_shop: Any, step: Step) -> None:
    memory_shop.reindex(0)
    memory_shop.reindex(2)
    memory_shop.put(d1="since", fresh="since")
    memory_shop.delete("d2")
    writer = haunt(memory_shop, 1, chance=0.2)

    def die(reached: Step) -> None:
        if reached is step:
            writer.dead = True
            raise Killed

    memory_shop.at = die
    with pytest.raises(Killed):
        memory_shop.revert()
    memory_shop.at = lambda _: None
    writer.dead = False
    with memory_shop.run():
        pass
    live, left = memory_shop.live(), {1: 2, 2: 1}[memory_shop.live().number]
    former = memory_shop.target.generations.get(left)
    assert memory_shop.engine.is_blocked(former.index)
    assert not memory_shop.engine.is_blocked(live.index)
    if live.number == 2:
        memory_shop.revert()
    assert memory_shop.live().number == 1
    settled(memory_shop, writer)


def test_an_alias_that_somebody_moved_is_left_where_it_is(memory_shop: Any) -> None:
    """Invariant 10."""
    memory_shop.engine.create_index("elsewhere", ["title"])

    def move(step: Step) -> None:
        if step is Step.LAST_WRITES_COPIED:
            memory_shop.engine._aliases[memory_shop.alias] = "elsewhere"

    memory_shop.at = move
    with pytest.raises(StateConflictError):
        memory_shop.reindex(0)
    assert memory_shop.engine.alias_state(memory_shop.alias).index == "elsewhere"
    assert not memory_shop.engine.is_blocked(memory_shop.index)
    assert memory_shop.live() is None
    assert memory_shop.blocks.all() == []


def test_when_writes_were_let_in_before_the_swap_it_does_not_happen_and_is_tried_again(
    memory_shop: Any,
) -> None:
    """A watchdog that fires between our last look and the alias request wins."""
    fired = []

    def fire(step: Step) -> None:
        if step is Step.LAST_WRITES_COPIED and not fired:
            fired.append(step)
            memory_shop.engine.unblock_writes(memory_shop.index)
            memory_shop.put(between="written in the gap")

    memory_shop.at = fire
    memory_shop.reindex(0)
    assert memory_shop.titles()["between"] == "written in the gap"
    assert any("did not happen" in sentence for _, sentence in memory_shop.reporter.told)
    memory_shop.is_whole()


def test_a_pause_that_would_be_too_long_leaves_all_as_it_was(memory_shop: Any) -> None:
    """Invariant 11."""
    memory_shop.config = {"write_pause": 1e-9, "cut_over_tries": 3}
    with pytest.raises(CutOverRefusedError, match="could not be swapped in 3 tries"):
        memory_shop.reindex(0)
    assert memory_shop.engine.alias_state(memory_shop.alias).index == memory_shop.index
    assert not memory_shop.engine.is_blocked(memory_shop.index)
    memory_shop.put(d1="goes on")
    assert memory_shop.states() == {1: State.READY}
    memory_shop.config = {}
    memory_shop.reindex(0)
    assert memory_shop.titles()["d1"] == "goes on"


def test_what_was_copied_before_a_kill_is_not_encoded_again(memory_shop: Any) -> None:
    """Invariant 15: at most one batch is repeated."""
    batches = []

    def die(step: Step) -> None:
        if step is Step.BATCH_WRITTEN:
            batches.append(step)
        if len(batches) == 2:
            raise Killed

    memory_shop.at = die
    with pytest.raises(Killed):
        memory_shop.reindex(0)
    written: list[str] = []
    index = memory_shop.target.generations.get(1).index
    memory_shop.engine._before_call = lambda method, _: written.append(method)
    memory_shop.at = lambda _: None
    memory_shop.reindex(0)
    assert written.count("write_copies") <= 3
    assert index == memory_shop.live().index


def test_versions_of_the_application_are_kept_and_its_next_write_is_taken(
    memory_shop: Any,
) -> None:
    """Invariants 3 and 6."""
    engine = memory_shop.engine
    for n in range(10):
        engine.index_numbered(
            memory_shop.index,
            Document(document_id=f"d{n}", fields={"title": f"job {n}"}),
            1_700_000_000_000 + n,
        )
    memory_shop.reindex(0)
    assert engine.versions_of(memory_shop.alias) == "external"
    index = memory_shop.live().index
    (d3,) = [
        key for page in engine.document_keys(index, 100) for key in page if key.document_id == "d3"
    ]
    assert d3.number == 1_700_000_000_003
    engine.index_numbered(
        memory_shop.alias, Document(document_id="d3", fields={"title": "next"}), 1_700_000_000_004
    )
    follow(memory_shop)
    engine.index_numbered(
        memory_shop.alias, Document(document_id="d3", fields={"title": "after"}), 1_700_000_000_005
    )
    follow(memory_shop)
    memory_shop.is_whole()
    memory_shop.reindex(2)
    memory_shop.revert()
    assert memory_shop.titles()["d3"] == "after"
    memory_shop.is_whole()


def test_a_hold_without_a_former_generation_ends_by_the_clock(memory_shop: Any) -> None:
    memory_shop.reindex(0)
    with memory_shop.target.owned() as lease:
        assert memory_shop.mend(memory_shop.target, lease) == ()
    assert memory_shop.engine.is_blocked(memory_shop.index)
    memory_shop.now += timedelta(hours=12)
    with memory_shop.target.owned() as lease:
        assert len(memory_shop.mend(memory_shop.target, lease)) == 1
    assert not memory_shop.engine.is_blocked(memory_shop.index)
