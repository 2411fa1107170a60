"""The follower: both slots by one read, whatever happens to the index meanwhile (inv. 4, 5, 19)."""

import threading
from collections import Counter
from typing import Any

import pytest
import structlog

from desireline.connectors.documents import Document, EmbeddingWrite
from desireline.connectors.errors import IndexMissingError, PartialReadError
from desireline.sidecar.errors import LeaseLostError
from desireline.sidecar.follower import Follower
from desireline.sidecar.generations import State
from desireline.sidecar.lease import acquire

INDEX = "occupations"


class Staged:
    """A follower over a world, with hands on its engine's calls and on the clock."""

    def __init__(self, world: Any, **more: Any) -> None:
        self.world = world
        self.calls: Counter[str] = Counter()
        self.now = 100.0
        self.ages: list[tuple[int, float]] = []
        self.lags: list[float] = []
        self.before: Any = lambda *_: None
        world.engine._before_call = self._count
        self.follower = Follower(
            engine=world.engine,
            generations=world.generations,
            writer_for=world.writer,
            clock=world.clock,
            caught_up=lambda _target, _refreshed, lag: self.lags.append(lag),
            embedded=lambda _target, documents, age: self.ages.append((documents, age)),
            monotonic=lambda: self.now,
            **more,
        )

    def _count(self, method: str, index: str) -> None:
        self.calls[method] += 1
        self.before(method, index)

    def put(self, **titles: str) -> None:
        self.world.engine.index_documents(
            INDEX, [Document(document_id=k, fields={"title": t}) for k, t in titles.items()]
        )


@pytest.fixture
def lease(world: Any) -> Any:
    return world.lease()


@pytest.fixture
def staged(world: Any, lease: Any) -> Staged:
    """Generation 2 is live in slot b, generation 1 is retained in slot a."""
    world.put_live(0, "embedding__a", lease)
    world.put_live(1, "embedding__b", lease)
    return Staged(world)


def fresh(world: Any) -> bool:
    """Whether both slots hold every document as it is."""
    return all(
        world.engine.coverage(INDEX, g.slot, g.number).complete
        and not world.writer(g, world.lease_now).stale(
            [d for b in world.engine.scan(INDEX, world.writer(g, world.lease_now).read) for d in b]
        )
        for g in world.generations.all()
        if g.state in {State.LIVE, State.RETAINED}
    )


def test_one_read_of_the_changes_serves_both_slots(staged: Staged, lease: Any) -> None:
    staged.world.lease_now = lease
    staged.follower.follow_once(lease)
    staged.calls.clear()
    staged.put(new="beekeeper", d2="lighthouse keeper")
    assert staged.follower.follow_once(lease) == 4
    assert staged.calls["changes"] == 1
    assert staged.calls["fence"] == 1
    assert fresh(staged.world)
    assert staged.follower.follow_once(lease) == 0


def test_a_slot_that_lags_behind_is_brought_up_with_the_other(staged: Staged, lease: Any) -> None:
    staged.world.lease_now = lease
    staged.put(new="beekeeper")
    live = staged.world.generations.live()
    staged.world.generations.change(live, caught_up=staged.world.engine.fence(INDEX).to_json())
    assert staged.follower.follow_once(lease) == 2
    assert fresh(staged.world)


def test_an_edit_between_the_two_slots_is_embedded_in_both_in_the_end(
    world: Any, lease: Any
) -> None:
    world.put_live(0, "embedding__a", lease)
    world.put_live(1, "embedding__b", lease)
    world.lease_now = lease
    staged = Staged(world)
    edits = iter(["second", "third"])

    def edit(write: EmbeddingWrite) -> None:
        text = next(edits, None) if write.document_id == "new" else None
        if text:
            world.engine.update_fields(INDEX, "new", {"title": text})

    staged.put(new="first")
    world.engine._before_write = edit
    for _ in range(4):
        staged.follower.follow_once(lease)
    assert fresh(world)


def test_the_age_of_a_write_is_bounded_by_the_round_before(staged: Staged, lease: Any) -> None:
    staged.put(first="written before anybody looked")
    staged.follower.follow_once(lease)
    assert staged.ages == []
    staged.now = 101.0
    staged.follower.follow_once(lease)
    staged.now = 103.0
    staged.put(a="a", b="b")
    staged.now = 104.0
    staged.follower.follow_once(lease)
    assert staged.ages == [(2, 3.0)]


def test_a_failed_round_makes_the_bound_larger_not_smaller(staged: Staged, lease: Any) -> None:
    staged.follower.follow_once(lease)
    staged.put(a="a")
    staged.now = 110.0

    def lose_the_snapshot(method: str, _index: str) -> None:
        if method == "changes":
            raise PartialReadError("the read was cut off")

    staged.before = lose_the_snapshot
    with pytest.raises(PartialReadError):
        staged.follower.follow_once(lease)
    staged.before = lambda *_: None
    staged.now = 120.0
    staged.follower.follow_once(lease)
    assert staged.ages == [(1, 20.0)]


@pytest.mark.parametrize("method", ["fence", "changes", "fetch", "write_embeddings"])
def test_a_round_that_fails_anywhere_is_gone_on_with_from_its_fence(
    staged: Staged, lease: Any, method: str
) -> None:
    staged.world.lease_now = lease
    staged.follower.follow_once(lease)
    staged.put(a="a", b="b")

    def fail(called: str, _index: str) -> None:
        if called == method:
            raise PartialReadError("staged")

    staged.before = fail
    with pytest.raises(PartialReadError):
        staged.follower.follow_once(lease)
    staged.before = lambda *_: None
    staged.follower.follow_once(lease)
    assert fresh(staged.world)


def test_a_new_follower_goes_on_where_the_last_one_stopped(staged: Staged, lease: Any) -> None:
    staged.world.lease_now = lease
    staged.follower.follow_once(lease)
    staged.put(a="a")
    again = Staged(staged.world)
    assert again.follower.follow_once(lease) == 2
    assert again.calls["changes"] == 1
    assert fresh(staged.world)


def test_an_index_made_again_under_its_name_is_embedded_whole(staged: Staged, lease: Any) -> None:
    staged.world.lease_now = lease
    staged.follower.follow_once(lease)
    staged.world.engine.drop_index(INDEX)
    with pytest.raises(IndexMissingError):
        staged.follower.follow_once(lease)
    staged.world.engine.create_index(INDEX, ["title", "description"])
    staged.put(a="a", b="b", c="c")
    with structlog.testing.capture_logs() as lines:
        assert staged.follower.follow_once(lease) == 6
    assert [line["event"] for line in lines if "made again" in line["event"]]
    assert fresh(staged.world)


def test_a_name_that_stands_for_another_index_is_told_once_and_until_it_is_mended(
    world: Any, lease: Any
) -> None:
    world.put_live(0, "embedding__a", lease)
    world.engine.create_index("jobs-v2", ["title"])
    staged = Staged(world, index="jobs-v2")
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            staged.follower.follow_once(lease)
            staged.now += 11
    assert len([line for line in lines if line["event"] == "something needs the operator"]) == 1
    (notice,) = staged.follower.notices
    assert "'jobs-v2' stands for jobs-v2 now, but generation 1 is in occupations" in notice
    staged.follower._name = INDEX
    staged.follower.follow_once(lease)
    assert staged.follower.notices == ()


def test_a_retained_generation_elsewhere_that_cannot_be_written_leaves_the_live_one_fresh(
    staged: Staged, lease: Any
) -> None:
    engine = staged.world.engine
    engine.create_index("old", ["title"])
    (retained,) = [g for g in staged.world.generations.all() if g.state is State.RETAINED]
    staged.world.generations.change(retained, index="old", caught_up={})
    engine.drop_index("old")
    staged.put(a="a")
    assert staged.follower.follow_once(lease) == 1
    (notice,) = staged.follower.notices
    assert "the retained generation in old is not kept fresh" in notice


def test_a_follower_whose_lease_was_taken_writes_nothing(staged: Staged, lease: Any) -> None:
    staged.follower.follow_once(lease)
    staged.put(a="a")
    lease.release()
    acquire(staged.world.store, "jobs", ttl_s=30.0)
    lease.beat()
    with pytest.raises(LeaseLostError):
        staged.follower.follow_once(lease)
    assert not staged.world.engine.coverage(INDEX, "embedding__b", 2).complete


class Waits(threading.Event):
    """Ends the work after so many waits, and remembers how long each was."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds
        self.seconds: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        return len(self.seconds) > self.rounds


def test_a_round_that_a_swap_overtook_is_followed_by_the_next_at_once(
    staged: Staged, lease: Any
) -> None:
    staged.world.lease_now = lease
    staged.put(fresh="beekeeper")

    def give_away(method: str, _index: str) -> None:
        if method == "changes":
            staged.world.generations.give_up_way_back(now=staged.world.clock(), force=True)

    staged.before = give_away
    stop = Waits(rounds=2)
    staged.follower.run(lease, stop, every_s=5.0)
    assert stop.seconds == [5.0, 0.0, 5.0]
    assert fresh(staged.world)


def test_a_round_that_fails_is_tried_again_after_longer_and_longer(
    staged: Staged, lease: Any
) -> None:
    def fail(method: str, _index: str) -> None:
        if method == "fence" and len(stop.seconds) < 4:
            raise PartialReadError("a shard did not answer")

    staged.before = fail
    stop = Waits(rounds=4)
    staged.follower.run(lease, stop, every_s=5.0)
    assert stop.seconds == [5.0, 10.0, 20.0, 40.0, 5.0]


def test_a_write_that_a_lost_one_hid_is_found_when_it_is_looked_back(
    staged: Staged, lease: Any
) -> None:
    """19: a primary died with a newer write that nobody acknowledged; the older one is back."""
    staged.world.lease_now = lease
    staged.put(hidden="as it was")
    staged.follower.follow_once(lease)
    staged.put(hidden="acknowledged")
    held = staged.world.engine._index(INDEX)
    acknowledged = held.rows.pop("hidden")
    staged.follower.follow_once(lease)
    held.rows["hidden"] = acknowledged
    for _ in range(5):
        staged.now += 50
        staged.follower.follow_once(lease)
        assert not fresh(staged.world)
    staged.now += 50
    assert staged.follower.follow_once(lease) == 2
    assert fresh(staged.world)


def test_a_look_back_reaches_to_the_one_before_the_last(staged: Staged, lease: Any) -> None:
    read = []

    def note(method: str, _index: str) -> None:
        if method == "changes":
            read.append(staged.now)

    staged.before = note
    staged.put(a="a")
    for staged.now in (0.0, 10.0, 300.0, 310.0, 600.0, 610.0, 900.0, 910.0):
        staged.follower.follow_once(lease)
    # Read as new, then with our own stamps of it; at 300 and 600 once more; by 900 it is past.
    assert read == [0.0, 10.0, 300.0, 600.0]
