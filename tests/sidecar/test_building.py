"""A whole run: what holds it up, what ends it, and how it goes on."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from desireline.connectors.documents import Document, EmbeddingWrite, Outcome, digest
from desireline.connectors.engines.memory import MemoryEngine
from desireline.connectors.errors import EngineUnavailableError, FloodStageError
from desireline.connectors.search_engine import Read
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.building import put_live
from desireline.sidecar.errors import (
    BackfillError,
    CutOverRefusedError,
    HookRefusedError,
    RunCancelledError,
)
from desireline.sidecar.generations import State
from desireline.sidecar.hooks.points import HookPoint
from desireline.sidecar.steering.steps import Step
from desireline.sidecar.writing.embedding_cache import EmbeddingCache
from desireline.trainer.encoders.fake import FakeEncoder

DOCUMENTS = 10
ENCODERS = {e.fingerprint: e for e in (FakeEncoder(seed=0), FakeEncoder(seed=1))}
FIRST, SECOND = ENCODERS


class Hooks:
    """Remembers each point; says no where told to."""

    def __init__(self) -> None:
        self.points: list[HookPoint] = []
        self.refuses: set[HookPoint] = set()

    def run(self, point: HookPoint, _facts: object) -> None:
        self.points.append(point)
        if point in self.refuses:
            raise HookRefusedError("the hook said no")


class Shop:
    """A target of ten documents, its application, and every wait in a list."""

    def __init__(self, folder: Path, make_target: Any, told: Any) -> None:
        self.engine = MemoryEngine(before_call=self._before_call)
        self.engine.create_index("products", ["title"])
        self.put(**{f"d{n}": f"lamp {n}" for n in range(DOCUMENTS)})
        self.hooks, self.told = Hooks(), told
        self.waits: list[float] = []
        self.steps: list[Step] = []
        self.while_waiting: Any = lambda: None
        self.at: Any = lambda _: None
        self.fails: list[Exception] = []
        self.failing = "write_embeddings"
        self.target = make_target(
            {"index": "products", "text": ["title"]},
            encoders=ENCODERS,
            engine=self.engine,
            store=MemoryStore(),
            cache=EmbeddingCache(folder),
            clock=lambda: datetime(2026, 11, 21, 2, 0, tzinfo=UTC),
            hooks=self.hooks,
            reached=self._reached,
            sleep=self._sleep,
        )

    def put(self, **titles: str) -> None:
        self.engine.index_documents(
            "products", [Document(document_id=k, fields={"title": t}) for k, t in titles.items()]
        )

    def reindex(self, fingerprint: str = FIRST, **wishes: Any) -> int:
        with self.target.owned() as lease:
            swapped = put_live(
                self.target, fingerprint, lease, self.told, reason="the test asked", **wishes
            )
        return swapped.generation

    def states(self) -> dict[int, State]:
        return {g.number: g.state for g in self.target.generations.all()}

    def assert_live_everywhere(self, number: int) -> None:
        live = self.target.generations.live()
        assert live is not None
        assert live.number == number
        read = Read(fields=("title",), slots=(live.slot,), embeddings=True)
        for document in (d for page in self.engine.scan("products", read) for d in page):
            stamp = document.stamps[live.slot]
            assert (stamp.generation, stamp.digest) == (number, digest(document.fields["title"]))
            assert live.slot in document.embeddings

    def _reached(self, step: Step) -> None:
        self.steps.append(step)
        self.at(step)

    def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        assert len(self.waits) < 1_000, "waits for ever"
        self.while_waiting()

    def _before_call(self, method: str, _index: str) -> None:
        if method == getattr(self, "failing", "") and self.fails:
            raise self.fails.pop(0)


@pytest.fixture
def shop(tmp_path: Path, make_target: Any, told: Any) -> Shop:
    return Shop(tmp_path, make_target, told)


def test_a_run_passes_the_steps_of_slots_in_place_in_order(shop: Shop) -> None:
    assert shop.reindex() == 1
    shop.assert_live_everywhere(1)
    batch = [Step.BATCH_ENCODED, Step.BATCH_WRITTEN]
    assert shop.steps == [
        Step.GENERATION_CREATED,
        Step.SLOT_PREPARED,
        Step.FENCE_TAKEN,
        *batch * 4,
        Step.BACKFILL_DONE,
        Step.CAUGHT_UP,
        Step.REPLICAS_LOADED,
        Step.WARMED_UP,
        Step.VERIFIED,
        Step.CUT_OVER_BEGUN,
        Step.POINTER_WRITTEN,
        Step.STATES_SETTLED,
    ]
    assert shop.hooks.points == [
        HookPoint.BEFORE_BACKFILL,
        HookPoint.BEFORE_CUT_OVER,
        HookPoint.AFTER_CUT_OVER,
        HookPoint.ON_SUCCESS,
    ]


def test_the_way_is_told_with_its_reason(shop: Shop) -> None:
    shop.reindex()
    (sentence,) = shop.told.said("way")
    assert sentence.startswith("slot: one copy of each document")


def test_an_encoder_is_shared_before_it_embeds_and_the_run_goes_on_where_it_was_not(
    shop: Shop,
) -> None:
    asked: list[tuple[str, list[Step]]] = []

    def share(fingerprint: str) -> list[str]:
        asked.append((fingerprint, list(shop.steps)))
        return ["the shared registry is dead; it is tried again later"]

    shop.target = replace(shop.target, share=share)
    assert shop.reindex() == 1
    assert asked == [(FIRST, [Step.GENERATION_CREATED])]
    assert shop.told.said("registry") == ["the shared registry is dead; it is tried again later"]
    shop.assert_live_everywhere(1)


def test_a_cancelled_run_ends_before_its_next_batch_and_what_serves_is_unchanged(
    shop: Shop,
) -> None:
    shop.reindex()
    cancel_after = iter([False, True])

    def cancel(step: Step) -> None:
        if step is Step.BATCH_WRITTEN and next(cancel_after, False):
            shop.target.controls.cancel(by="test")

    shop.at = cancel
    shop.steps.clear()
    with pytest.raises(RunCancelledError):
        shop.reindex(SECOND)
    assert shop.steps.count(Step.BATCH_WRITTEN) == 2
    assert shop.states() == {1: State.LIVE, 2: State.CANCELLED}
    shop.assert_live_everywhere(1)
    shop.at = lambda _: None
    assert shop.reindex(SECOND) == 3
    shop.assert_live_everywhere(3)


def test_a_paused_run_writes_nothing_until_it_is_resumed(shop: Shop) -> None:
    shop.target.controls.pause(by="test")
    looks = iter(range(100))

    def resume() -> None:
        if next(looks) == 5:
            assert Step.BATCH_WRITTEN not in shop.steps
            shop.target.controls.resume(by="test")

    shop.while_waiting = resume
    shop.reindex()
    shop.assert_live_everywhere(1)
    assert any("paused" in sentence for sentence in shop.told.said("throttle"))


def test_a_postponed_cut_over_waits_stays_near_and_is_proved_after_the_wait(shop: Shop) -> None:
    shop.target.controls.postpone(by="test")
    looks = iter(range(1_000))

    def edit_then_release() -> None:
        look = next(looks)
        if look == 3:
            shop.put(d1="changed while it waits")
        if look == 40:
            fresh = shop.engine.coverage("products", "embedding__a", 1)
            assert fresh.complete, "a slot that waits for its cut-over is kept near"
            assert Step.VERIFIED not in shop.steps
            shop.target.controls.cut_over(by="test")

    shop.while_waiting = edit_then_release
    shop.reindex()
    shop.assert_live_everywhere(1)
    assert HookPoint.ON_POSTPONED in shop.hooks.points
    assert Step.VERIFIED in shop.steps


def test_a_hook_that_says_no_stops_the_cut_over_and_the_next_run_goes_on(shop: Shop) -> None:
    shop.reindex()
    shop.hooks.refuses.add(HookPoint.BEFORE_CUT_OVER)
    with pytest.raises(HookRefusedError):
        shop.reindex(SECOND)
    assert shop.states() == {1: State.LIVE, 2: State.READY}
    assert shop.hooks.points[-1] is HookPoint.ON_FAILURE
    shop.hooks.refuses.clear()
    shop.steps.clear()
    assert shop.reindex(SECOND) == 2
    assert Step.BATCH_ENCODED not in shop.steps
    assert any("going on with it" in sentence for sentence in shop.told.said("resume"))


def test_a_disk_at_its_flood_stage_is_asked_twice_a_minute_and_told(shop: Shop) -> None:
    """Invariant 23."""
    shop.fails = [FloodStageError("the disk is full")] * 4
    shop.reindex()
    shop.assert_live_everywhere(1)
    assert [wait for wait in shop.waits if wait >= 30.0] == [30.0] * 4
    assert HookPoint.ON_THROTTLE in shop.hooks.points
    assert "writing goes on" in shop.told.said("throttle")


@pytest.mark.parametrize(
    "method", ["prepare_slot", "fence", "scan", "write_embeddings", "changes", "enumerate"]
)
def test_an_engine_that_is_away_for_a_while_is_outwaited(shop: Shop, method: str) -> None:
    """Invariant 19."""
    shop.failing = method
    shop.fails = [EngineUnavailableError("away")] * 3
    shop.reindex()
    shop.assert_live_everywhere(1)


def test_an_engine_that_stays_away_ends_the_run_and_the_next_goes_on(shop: Shop) -> None:
    """Invariant 16."""
    shop.fails = [EngineUnavailableError("away")] * 400
    config = shop.target.config
    impatient = config.swap.model_copy(update={"patience": 20.0})
    shop.target = replace(shop.target, config=config.model_copy(update={"swap": impatient}))
    with pytest.raises(EngineUnavailableError):
        shop.reindex()
    assert shop.states() == {1: State.BUILDING}
    shop.fails.clear()
    assert shop.reindex() == 1
    shop.assert_live_everywhere(1)


def test_a_write_whose_answer_was_lost_is_known_by_its_stamp(shop: Shop) -> None:
    """Invariant 25: a conflict may be our own write that arrived twice."""
    carry_out = shop.engine.write_embeddings
    lose = iter([True, False, True])
    acknowledged: set[str] = set()

    def lossy(index: str, slot: str, writes: list[EmbeddingWrite]) -> Any:
        results = carry_out(index, slot, writes)
        if next(lose, False):
            raise EngineUnavailableError("no answer came")
        acknowledged.update(r.document_id for r in results if r.outcome is Outcome.WRITTEN)
        return results

    shop.engine.write_embeddings = lossy  # type: ignore[method-assign,assignment]
    shop.reindex()
    shop.assert_live_everywhere(1)
    refreshed = shop.told.said("catch-up")
    assert refreshed == ["0 documents had changed meanwhile and are embedded"]
    assert len(acknowledged) == DOCUMENTS, "what nobody acknowledged is written once more"


def test_another_way_than_the_interrupted_one_begins_anew(shop: Shop) -> None:
    shop.hooks.refuses.add(HookPoint.BEFORE_BACKFILL)
    with pytest.raises(HookRefusedError):
        shop.reindex()
    with pytest.raises(BackfillError, match="alias"):
        shop.reindex(way="index")
    assert shop.states() == {1: State.CANCELLED}


def test_the_new_index_way_goes_there_by_the_same_story(shop: Shop) -> None:
    shop.reindex()
    shop.engine.add_alias("shop", "products")
    behind_alias = shop.target.config.model_copy(update={"index": "shop"})
    shop.target = replace(shop.target, config=behind_alias)
    shop.steps.clear()
    assert shop.reindex(SECOND, way="index") == 2
    assert shop.engine.alias_state("shop").index == "shop-gen-2"
    assert shop.engine.coverage("shop-gen-2", "embedding__a", 2).complete
    story = [step for step in dict.fromkeys(shop.steps) if step is not Step.BATCH_ENCODED]
    assert story == [
        Step.GENERATION_CREATED,
        Step.INDEX_CREATED,
        Step.BATCH_WRITTEN,
        Step.BACKFILL_DONE,
        Step.CAUGHT_UP,
        Step.REPLICAS_LOADED,
        Step.WARMED_UP,
        Step.VERIFIED,
        Step.CUT_OVER_BEGUN,
        Step.COPY_PROVED,
        Step.BLOCK_RECORDED,
        Step.WRITES_BLOCKED,
        Step.LAST_WRITES_COPIED,
        Step.ALIAS_SWAPPED,
        Step.POINTER_WRITTEN,
        Step.STATES_SETTLED,
    ]


def test_a_target_without_an_alias_is_refused_the_new_index_way_by_name(shop: Shop) -> None:
    with pytest.raises(BackfillError, match="give the application an alias"):
        shop.reindex(way="index")
    assert shop.states() == {}


class Forgetful(MemoryEngine):
    """An engine whose graph loses every other of the nearest documents."""

    def search_vectors(self, index: str, slot: str, *args: Any, **named: Any) -> Any:
        return super().search_vectors(index, slot, *args, **named)[::2]


def test_a_slot_whose_index_loses_too_much_never_goes_live(shop: Shop) -> None:
    first = shop.reindex()
    config = shop.target.config
    strict = config.model_copy(update={"swap": config.swap.model_copy(update={"min_recall": 0.9})})
    shop.target = replace(shop.target, config=strict)
    shop.engine.__class__ = Forgetful
    with pytest.raises(CutOverRefusedError, match=r"the index finds 50\.0% of the ten nearest"):
        shop.reindex(SECOND)
    assert shop.states()[first] is State.LIVE
    shop.engine.__class__ = MemoryEngine
    assert shop.reindex(SECOND) == 2
