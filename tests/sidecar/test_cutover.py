"""One write swaps, one write goes back, and the loser of a race changes nothing."""

from datetime import timedelta
from typing import Any

import pytest

from desireline.connectors.documents import Document
from desireline.sidecar.cutover import cut_over, revert
from desireline.sidecar.errors import (
    CutOverRefusedError,
    HoldError,
    NoGenerationError,
    RevertRefusedError,
)
from desireline.sidecar.follower import Follower
from desireline.sidecar.generations import State
from desireline.sidecar.lease import acquire, hold_lease
from desireline.sidecar.serving.encoders import EncoderPool
from desireline.sidecar.serving.live import Serving
from desireline.sidecar.serving.replicas import announce, wait_for_replicas

INDEX = "occupations"
HOLD = timedelta(hours=12)


def states(world: Any) -> dict[int, State]:
    return {g.number: g.state for g in world.generations.all()}


def swap(world: Any, generation: Any, lease: Any) -> Any:
    return cut_over(
        world.generations, generation, lease=lease, hold=HOLD, reason="test", clock=world.clock
    )


def follower(world: Any) -> Follower:
    return Follower(
        engine=world.engine,
        generations=world.generations,
        writer_for=world.writer,
        clock=world.clock,
        caught_up=lambda *_: None,
    )


def test_the_first_cut_over_has_no_way_back_and_the_second_has(world: Any) -> None:
    lease = world.lease()
    first = world.put_live(0, "embedding__a", lease)
    assert (first.generation, first.previous) == (1, None)
    with pytest.raises(RevertRefusedError, match="no retained generation"):
        revert(world.generations, reason="test", clock=world.clock)
    second = world.put_live(1, "embedding__b", lease)
    assert (second.generation, second.previous) == (2, 1)
    assert states(world) == {1: State.RETAINED, 2: State.LIVE}


def test_a_revert_can_be_reverted(world: Any) -> None:
    lease = world.lease()
    world.put_live(0, "embedding__a", lease)
    world.put_live(1, "embedding__b", lease)
    back = revert(world.generations, reason="users like it less", clock=world.clock)
    assert back.generation == 1
    assert states(world) == {1: State.LIVE, 2: State.RETAINED}
    revert(world.generations, reason="they did not", clock=world.clock)
    assert states(world) == {1: State.RETAINED, 2: State.LIVE}


def test_after_the_hold_there_is_no_way_back(world: Any) -> None:
    lease = world.lease()
    world.put_live(0, "embedding__a", lease)
    world.put_live(1, "embedding__b", lease)
    world.now += HOLD
    with pytest.raises(RevertRefusedError, match="hold of generation 1 ended"):
        revert(world.generations, reason="late", clock=world.clock)
    assert states(world) == {1: State.RETIRED, 2: State.LIVE}


def test_a_generation_that_is_not_ready_does_not_go_live(world: Any) -> None:
    lease = world.lease()
    world.put_live(0, "embedding__a", lease)
    building = world.begin(1, "embedding__b")
    with pytest.raises(CutOverRefusedError, match="building, not ready"):
        swap(world, building, lease)
    assert states(world)[1] is State.LIVE


def test_a_cut_over_whose_pointer_moved_changes_nothing(world: Any) -> None:
    with hold_lease(world.store, "jobs", ttl_s=30) as stale:
        world.put_live(0, "embedding__a", stale)
        ready = world.generations.change(world.begin(1, "embedding__b"), state=State.READY)
    new = acquire(world.store, "jobs", ttl_s=30)
    world.generations.claim(new.fencing)
    with pytest.raises(CutOverRefusedError, match="another owner took over"):
        swap(world, ready, stale)
    assert states(world)[1] is State.LIVE
    assert swap(world, ready, new).generation == 2


def test_a_running_hold_protects_its_slot(world: Any) -> None:
    lease = world.lease()
    world.put_live(0, "embedding__a", lease)
    world.put_live(1, "embedding__b", lease)
    with pytest.raises(HoldError, match="generation 1 is held until"):
        world.generations.give_up_way_back(now=world.now, force=False)
    world.generations.give_up_way_back(now=world.now, force=True)
    assert states(world) == {1: State.RETIRED, 2: State.LIVE}
    with pytest.raises(RevertRefusedError):
        revert(world.generations, reason="too late", clock=world.clock)


def test_a_crash_after_the_pointer_write_is_mended_from_the_pointer(world: Any) -> None:
    lease = world.lease()
    world.put_live(0, "embedding__a", lease)
    world.put_live(1, "embedding__b", lease)
    one, two = world.generations.all()
    world.generations.change(one, state=State.LIVE)
    world.generations.change(two, state=State.READY)
    world.generations.reconcile(world.now)
    assert states(world) == {1: State.RETAINED, 2: State.LIVE}


def test_the_follower_keeps_both_slots_fresh_so_that_a_revert_misses_nothing(world: Any) -> None:
    lease = world.lease()
    world.put_live(0, "embedding__a", lease)
    world.put_live(1, "embedding__b", lease)
    world.engine.index_documents(
        INDEX, [Document(document_id="fresh", fields={"title": "beekeeper"})]
    )
    world.engine.update_fields(INDEX, "d2", {"title": "lighthouse keeper"})
    assert follower(world).follow_once(lease) == 4
    assert follower(world).follow_once(lease) == 0
    for generation in world.generations.all():
        encoder = world.encoders[generation.fingerprint]
        for text, expected in (("beekeeper", "fresh"), ("lighthouse keeper", "d2")):
            vector = encoder.encode_queries([text])[0]
            (best,) = world.engine.search_vectors(
                INDEX, generation.slot, vector, 1, generation=generation.number
            )
            assert best.document_id == expected
        covered = world.engine.coverage(INDEX, generation.slot, generation.number)
        assert covered.complete


def test_queries_are_answered_by_one_generation_before_and_after_a_swap(world: Any) -> None:
    lease = world.lease()
    pool = EncoderPool(lambda fingerprint: world.encoders[fingerprint], keep=4)
    serving = Serving(world.generations, pool)
    with pytest.raises(NoGenerationError, match="no live generation"):
        serving.live()
    world.put_live(0, "embedding__a", lease)
    before = serving.live()
    assert (before.number, before.slot) == (1, "embedding__a")
    world.put_live(1, "embedding__b", lease)
    assert serving.live() is before
    after = serving.refresh()
    assert serving.live() is after
    assert after is not None
    assert (after.number, after.slot) == (2, "embedding__b")
    assert after.fingerprint == after.encoder.fingerprint


def test_the_swap_waits_for_a_living_replica_and_forgets_a_dead_one(world: Any) -> None:
    now = 0.0
    announce(world.store, "jobs", ["old"])

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        announce(world.store, "jobs", ["old", "new"] if now > 1 else ["old"])

    sentence = wait_for_replicas(
        world.store, "jobs", "new", limit_s=30, sleep=sleep, monotonic=lambda: now
    )
    assert sentence == "1 serving, all have loaded the encoder"
    assert now > 1

    def dead(seconds: float) -> None:
        nonlocal now
        now += seconds

    sentence = wait_for_replicas(
        world.store, "jobs", "newer", limit_s=30, sleep=dead, monotonic=lambda: now
    )
    assert sentence == "0 serving, all have loaded the encoder"
    assert world.store.list("replica") == []
