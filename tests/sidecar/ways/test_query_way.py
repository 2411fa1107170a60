"""The query encoder alone: nothing is embedded or missed, and the way back is one write."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from desireline.connectors.documents import Document, EmbeddingWrite, Stamp, digest
from desireline.connectors.engines.memory import MemoryEngine
from desireline.connectors.search_engine import Read
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.building import put_back, put_live, take_over
from desireline.sidecar.cutover import CutOver, cut_over, revert
from desireline.sidecar.errors import (
    BackfillError,
    CutOverRefusedError,
    HoldError,
    LeaseHeldError,
    RevertRefusedError,
    RunCancelledError,
)
from desireline.sidecar.follower import Follower
from desireline.sidecar.generations import Generation, State
from desireline.sidecar.lease import Lease, acquire
from desireline.sidecar.on_request.audit import audit_slot
from desireline.sidecar.on_request.plan import draft
from desireline.sidecar.on_request.standing import history
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.serving.encoders import EncoderPool
from desireline.sidecar.serving.live import Serving
from desireline.sidecar.steering.steps import Step
from desireline.sidecar.target import Target
from desireline.sidecar.writing.embedding_cache import EmbeddingCache
from desireline.sidecar.writing.embedding_writer import failed_documents
from desireline.trainer.encoders.base import Encoder
from desireline.trainer.encoders.fake import FakeEncoder
from desireline.trainer.encoders.two_tower import TwoTowerEncoder

DOCUMENTS = 10
FULL, OTHER = FakeEncoder(seed=0), FakeEncoder(seed=1)


def query_side(seed: int, documents: FakeEncoder = FULL) -> TwoTowerEncoder:
    return TwoTowerEncoder(queries=FakeEncoder(seed=seed), documents=documents)


#: Two query encoders over the documents of the first, one over those of the other.
TUNED, AGAIN, FOREIGN = query_side(10), query_side(11), query_side(12, OTHER)
ENCODERS: dict[str, Encoder] = {
    encoder.fingerprint: encoder for encoder in (FULL, OTHER, TUNED, AGAIN, FOREIGN)
}
STEPS = (
    Step.GENERATION_CREATED,
    Step.CAUGHT_UP,
    Step.REPLICAS_LOADED,
    Step.WARMED_UP,
    Step.VERIFIED,
    Step.CUT_OVER_BEGUN,
    Step.POINTER_WRITTEN,
    Step.STATES_SETTLED,
)
WRITES = ("write_embeddings", "prepare_slot", "clear_slot", "write_copies", "index_documents")


class KilledError(BaseException):
    """Ends a run where it stands, as kill -9 does."""


class Shop:
    """A target of ten documents that counts what is asked of its engine, and its application."""

    def __init__(
        self, folder: Path, make_target: Any, told: Any, *, alias: str | None = None
    ) -> None:
        self.calls: Counter[str] = Counter()
        self.engine = MemoryEngine(before_call=self._before_call)
        self.now = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
        self.name, first = ("products", alias or "products")
        self.engine.create_index(first, ["title"])
        if alias:
            self.engine.add_alias("products", first)
        self.put(**{f"d{n}": f"lamp {n}" for n in range(DOCUMENTS)})
        self.make_target, self.told = make_target, told
        self.steps: list[Step] = []
        self.at: Any = lambda _: None
        self.store, self.cache = MemoryStore(), EmbeddingCache(folder)
        self.target = self.open()

    def open(self) -> Target:
        """Return the parts as another process has them."""
        target: Target = self.make_target(
            {"index": "products", "text": ["title"]},
            encoders=ENCODERS,
            engine=self.engine,
            store=self.store,
            cache=self.cache,
            clock=lambda: self.now,
            reached=self._reached,
            sleep=lambda _: None,
        )
        return target

    def put(self, **titles: str) -> None:
        """Be the application."""
        self.engine.index_documents(
            self.name, [Document(document_id=k, fields={"title": t}) for k, t in titles.items()]
        )

    def go(self, encoder: Encoder, *, end_hold: bool = False, **wishes: Any) -> CutOver:
        """Do what `desireline reindex --model` does."""
        with self.target.owned() as lease:
            take_over(self.target, lease, self.told)
            self.target.generations.give_up_way_back(now=self.now, force=end_hold)
            return put_live(
                self.target, encoder.fingerprint, lease, self.told, reason="the test", **wishes
            )

    def back(self) -> CutOver:
        return revert(self.target.generations, reason="the test", clock=lambda: self.now)

    def follow(self) -> int:
        """One round of a new follower."""
        follower = Follower(
            engine=self.engine,
            generations=self.target.generations,
            writer_for=self.target.writer_for,
            clock=lambda: self.now,
            caught_up=lambda *_: None,
        )
        return follower.follow_once(self.lease())

    def lease(self) -> Lease:
        return acquire(self.store, f"follower {sum(self.calls.values())}", ttl_s=3600.0)

    @property
    def live(self) -> Generation:
        live = self.target.generations.live()
        assert live is not None
        return live

    def states(self) -> dict[int, State]:
        return {g.number: g.state for g in self.target.generations.all()}

    def versions(self) -> dict[str, Any]:
        return {
            d.document_id: d.version for page in self.engine.scan(self.name, Read()) for d in page
        }

    def written(self) -> int:
        """Count the requests that write anything into an index."""
        return sum(self.calls[name] for name in WRITES)

    def answers(self, text: str = "lamp 3") -> list[str]:
        live = Serving(self.target.generations, self.target.encoders).live()
        return [hit.document_id for hit in live.search(self.engine, text, 10 * DOCUMENTS)]

    def expected(self, encoder: Encoder, text: str = "lamp 3") -> list[str]:
        """Rank every document by this encoder, exactly."""
        pages = self.engine.scan(self.name, Read(fields=("title",)))
        titles = {d.document_id: d.fields["title"] for page in pages for d in page}
        scores = encoder.encode_documents(list(titles.values())) @ encoder.encode_queries([text])[0]
        return [key for _, key in sorted(zip(-scores, titles, strict=True))]

    def is_whole(self) -> None:
        """Every document carries the stamp that is searched and the vector of its present text."""
        live = self.live
        encoder = ENCODERS[live.fingerprint]
        read = Read(fields=("title",), slots=(live.slot,), embeddings=True)
        for document in (d for page in self.engine.scan(self.name, read) for d in page):
            text = document.fields["title"]
            stamp = document.stamps[live.slot]
            assert (stamp.generation, stamp.digest) == (live.stamp_number, digest(text))
            assert document.embeddings[live.slot] == pytest.approx(
                encoder.encode_documents([text])[0], abs=1e-6
            )
        assert self.answers() == self.expected(encoder)

    def _reached(self, step: Step) -> None:
        self.steps.append(step)
        self.at(step)

    def _before_call(self, method: str, _index: str) -> None:
        self.calls[method] += 1


@pytest.fixture
def shop(tmp_path: Path, make_target: Any, told: Any) -> Shop:
    """The first encoder is live and its hold never began."""
    shop = Shop(tmp_path, make_target, told)
    shop.go(FULL)
    shop.steps.clear()
    shop.calls.clear()
    return shop


def test_it_goes_live_without_one_write_into_the_index(shop: Shop) -> None:
    before = shop.versions()
    first = shop.answers()
    swapped = shop.go(TUNED)
    assert (swapped.generation, swapped.previous) == (2, 1)
    assert shop.versions() == before
    assert shop.written() == 0
    assert shop.answers() != first
    shop.is_whole()
    live = shop.live
    assert (live.way, live.vectors_of, live.stamp_number, live.parent) == ("query", 1, 1, 1)
    assert live.vectors == shop.target.generations.get(1).vectors
    assert shop.states() == {1: State.RETAINED, 2: State.LIVE}


def test_it_passes_every_step_but_those_that_write_documents(shop: Shop) -> None:
    shop.go(TUNED)
    assert tuple(shop.steps) == STEPS
    (sentence,) = shop.told.said("way")[-1:]
    assert "no document is embedded again" in sentence
    assert "10 of 10" in shop.told.said("verify")[-1]


def test_going_back_and_forth_again_is_one_write_of_the_pointer_each(shop: Shop) -> None:
    first = shop.answers()
    shop.go(TUNED)
    tuned = shop.answers()
    before = shop.versions()
    assert shop.back().generation == 1
    assert shop.answers() == first
    shop.is_whole()
    assert shop.states() == {1: State.LIVE, 2: State.RETAINED}
    assert shop.back().generation == 2
    assert shop.answers() == tuned
    shop.is_whole()
    assert shop.versions() == before
    assert shop.written() == 0


def test_a_second_one_and_the_first_encoder_itself_go_over_the_same_vectors(shop: Shop) -> None:
    before = shop.versions()
    for number, encoder in enumerate((TUNED, AGAIN, FULL, TUNED), start=2):
        assert shop.go(encoder).generation == number
        assert (shop.live.vectors_of, shop.live.parent) == (1, number - 1)
        shop.is_whole()
    assert shop.versions() == before
    assert shop.states() == {
        1: State.RETIRED,
        2: State.RETIRED,
        3: State.RETIRED,
        4: State.RETAINED,
        5: State.LIVE,
    }


def test_writes_are_embedded_once_and_nothing_is_missed_by_a_revert(shop: Shop) -> None:
    shop.go(TUNED)
    shop.put(d3="red lamp", new="blue lamp")
    assert shop.follow() == 2
    assert shop.calls["write_embeddings"] == 1
    shop.is_whole()
    fences = {g.number: g.caught_up for g in shop.target.generations.all()}
    assert fences[1] == fences[2]
    shop.put(d4="green lamp")
    shop.back()
    assert shop.follow() == 1
    shop.is_whole()
    shop.put(d5="yellow lamp")
    assert shop.follow() == 1
    shop.back()
    assert shop.follow() == 0
    shop.is_whole()


def test_writes_that_came_while_the_follower_was_away_are_caught_up_before_the_swap(
    shop: Shop,
) -> None:
    shop.put(d3="red lamp", new="blue lamp")
    shop.at = lambda step: step is Step.VERIFIED and shop.put(d4="green lamp")
    shop.go(TUNED)
    shop.is_whole()
    assert shop.live.caught_up


def test_what_a_document_failed_by_is_known_to_whoever_shares_the_vectors(shop: Shop) -> None:
    writer = shop.target.writer_for(shop.live, shop.lease())
    writer._remember_failure(
        SimpleNamespace(document_id="d3", reason="mapping")  # type: ignore[arg-type]
    )
    shop.go(TUNED)
    assert failed_documents(shop.store, shop.live) == {"d3": "mapping"}


def test_a_held_query_encoder_keeps_no_slot_from_the_next_embedding(shop: Shop) -> None:
    shop.go(TUNED)
    generations = shop.target.generations
    assert generations.retained() is not None
    assert generations.held_slot() is None
    generations.give_up_way_back(now=shop.now, force=False)
    assert shop.back().generation == 1, "the way back is there all the same"
    shop.back()
    swapped = shop.go(OTHER)
    assert (swapped.generation, swapped.previous) == (3, 2)
    assert shop.live.slot == "embedding__b"
    shop.is_whole()
    assert shop.states() == {1: State.RETIRED, 2: State.RETAINED, 3: State.LIVE}


def test_from_a_full_embedding_one_goes_back_to_the_query_encoder_before_it(shop: Shop) -> None:
    shop.go(TUNED)
    shop.go(OTHER)
    shop.put(d3="red lamp", new="blue lamp")
    assert shop.follow() == 4
    shop.back()
    assert shop.live.fingerprint == TUNED.fingerprint
    shop.is_whole()
    shop.put(d4="green lamp")
    assert shop.follow() == 2
    shop.is_whole()
    shop.back()
    shop.is_whole()


def test_a_slot_held_for_a_revert_is_not_given_up_for_a_query_encoder_unasked(shop: Shop) -> None:
    shop.go(OTHER)
    with pytest.raises(HoldError):
        shop.go(FOREIGN)
    planned = draft(shop.target, FOREIGN.fingerprint, encoder="it")
    assert "generation 1 is held" in "; ".join(planned.refusals)
    assert shop.go(FOREIGN, end_hold=True).previous == 2
    shop.is_whole()
    assert shop.states() == {1: State.RETIRED, 2: State.RETAINED, 3: State.LIVE}


def test_retiring_the_generation_that_embedded_them_leaves_the_vectors_alone(shop: Shop) -> None:
    shop.go(TUNED)
    shop.now += timedelta(days=2)
    assert shop.follow() == 0
    assert shop.states() == {1: State.RETIRED, 2: State.LIVE}
    shop.put(d3="red lamp")
    assert shop.follow() == 1
    shop.is_whole()
    assert shop.go(OTHER).generation == 3
    assert shop.live.slot == "embedding__b"
    shop.back()
    shop.is_whole()
    assert shop.live.slot == "embedding__a"


def test_after_the_hold_the_way_back_is_said_to_be_free(shop: Shop) -> None:
    shop.go(TUNED)
    shop.now += timedelta(days=2)
    with pytest.raises(RevertRefusedError, match="without embedding a document") as refused:
        shop.back()
    assert FULL.fingerprint in refused.value.next_step
    before = shop.versions()
    shop.go(FULL)
    assert shop.versions() == before
    shop.is_whole()


def test_the_live_encoder_asked_for_again_is_embedded_again(shop: Shop) -> None:
    shop.go(TUNED)
    swapped = shop.go(TUNED)
    assert swapped.generation == 3
    assert (shop.live.way, shop.live.slot, shop.live.stamp_number) == ("slot", "embedding__b", 3)
    shop.is_whole()
    shop.go(AGAIN, end_hold=True)
    assert shop.live.stamp_number == 3
    shop.is_whole()


def test_slots_in_place_may_be_wished_for_all_the_same(shop: Shop) -> None:
    shop.go(TUNED, way="slot")
    assert (shop.live.way, shop.live.stamp_number) == ("slot", 2)
    shop.is_whole()


def test_a_query_encoder_of_other_documents_has_them_embedded(shop: Shop) -> None:
    shop.go(FOREIGN)
    assert (shop.live.way, shop.live.slot) == ("slot", "embedding__b")
    shop.is_whole()


def test_the_query_way_is_refused_by_name_where_the_vectors_are_others(shop: Shop) -> None:
    for encoder in (OTHER, FOREIGN, FULL):
        with pytest.raises(BackfillError, match="would have to be embedded"):
            shop.go(encoder, way="query")
    assert shop.written() == 0
    assert shop.states() == {1: State.LIVE}


def test_the_plan_says_that_no_document_is_embedded(shop: Shop) -> None:
    planned = draft(shop.target, TUNED.fingerprint, encoder="it")
    assert (planned.way, planned.slot, planned.refusals) == ("query", "embedding__a", ())
    assert (planned.disk_bytes, planned.heap_bytes, planned.native_bytes) == (0, 0, 0)
    assert planned.encode_s == 0
    told = "\n".join(planned.lines())
    assert "no document is embedded again: the query encoder alone changes" in told
    assert "no document is encoded" in told
    assert "_bulk" not in told
    assert "_mapping  " not in told
    shop.go(TUNED)
    planned = draft(shop.target, OTHER.fingerprint, encoder="it")
    assert (planned.way, planned.slot, planned.refusals) == ("slot", "embedding__b", ())


def test_the_history_counts_the_shared_vectors_for_both(shop: Shop) -> None:
    shop.go(TUNED)
    newest, first = history(shop.target)
    assert newest["coverage"] == first["coverage"] == {"documents": 10, "stamped": 10}
    assert (newest["way"], newest["vectors_of"], first["vectors_of"]) == ("query", 1, None)
    found = audit_slot(shop.target, SilentReporter())
    assert (found.documents, found.stamped, found.kinds) == (10, 10, {})


def test_damaged_vectors_stop_it_before_the_pointer_is_written(shop: Shop) -> None:
    (document,) = shop.engine.fetch(
        "products", [Document(document_id="d3", fields={})], Read(fields=("title",))
    )
    write = shop.target.writer_for(shop.live, shop.lease())
    stale = write._render(document)
    forged = replace(stale, text="another text")
    vector = FULL.encode_documents([forged.text])[0]
    assert document.version is not None
    shop.engine.write_embeddings(
        "products",
        "embedding__a",
        [
            EmbeddingWrite(
                document_id="d3",
                version=document.version,
                vector=vector,
                stamp=Stamp(generation=1, digest=stale.digest, fencing=1, check="0" * 8),
            )
        ],
    )
    with pytest.raises(BackfillError, match="the live generation is unchanged"):
        shop.go(TUNED)
    assert shop.states() == {1: State.LIVE, 2: State.FAILED}


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_it_goes_on_and_ends_as_if_it_had_not_been(
    shop: Shop, step: Step
) -> None:
    def kill(reached: Step) -> None:
        if reached is step:
            raise KilledError

    before = shop.versions()
    shop.at = kill
    with pytest.raises(KilledError):
        shop.go(TUNED)
    shop.is_whole()
    shop.at = lambda _: None
    shop.put(d3="red lamp")
    if shop.live.number == 1:
        shop.go(TUNED)
    shop.follow()
    shop.is_whole()
    assert shop.states() == {1: State.RETAINED, 2: State.LIVE}
    changed = {key for key, version in shop.versions().items() if before[key] != version}
    assert changed == {"d3"}
    shop.back()
    shop.is_whole()


def test_what_was_interrupted_is_begun_anew_when_other_vectors_went_live(shop: Shop) -> None:
    def kill(reached: Step) -> None:
        if reached is Step.VERIFIED:
            raise KilledError

    shop.at = kill
    with pytest.raises(KilledError):
        shop.go(TUNED)
    shop.at = lambda _: None
    left = shop.target.generations.get(2)
    assert left.state is State.READY
    # An owner that slept past its lease would go on with it after this.
    shop.go(OTHER)
    shop.target.generations.change(left, state=State.READY)
    with (
        shop.target.owned() as lease,
        pytest.raises(CutOverRefusedError, match="not live any more"),
    ):
        cut_over(
            shop.target.generations,
            left,
            lease=lease,
            hold=timedelta(hours=1),
            reason="test",
            clock=lambda: shop.now,
        )
    assert shop.live.fingerprint == OTHER.fingerprint
    shop.is_whole()


def test_two_sidecars_cannot_do_it_at_once_and_a_replica_answers_by_one_generation(
    shop: Shop,
) -> None:
    replica = Serving(shop.open().generations, EncoderPool(ENCODERS.__getitem__, keep=8))
    assert replica.live().number == 1
    seen: list[tuple[int, list[str]]] = []

    def look(_step: Step) -> None:
        live = replica.refresh()
        assert live is not None
        hits = live.search(shop.engine, "lamp 3", DOCUMENTS)
        seen.append((live.number, [hit.document_id for hit in hits]))
        if live.number == 1:
            with pytest.raises(LeaseHeldError), shop.open().owned():
                pass

    shop.at = look
    shop.go(TUNED)
    by_number = {1: shop.expected(FULL), 2: shop.expected(TUNED)}
    assert {number for number, _ in seen} == {1, 2}
    assert all(found == by_number[number] for number, found in seen)


def test_a_cancelled_one_leaves_what_serves(shop: Shop) -> None:
    shop.at = lambda step: step is Step.WARMED_UP and shop.target.controls.cancel(by="test")
    with pytest.raises(RunCancelledError):
        shop.go(TUNED)
    assert shop.states() == {1: State.LIVE, 2: State.CANCELLED}
    shop.at = lambda _: None
    assert shop.go(TUNED).generation == 3
    shop.is_whole()


# Behind an alias, where the live generation has an index of its own.


@pytest.fixture
def alias_shop(tmp_path: Path, make_target: Any, told: Any) -> Shop:
    shop = Shop(tmp_path, make_target, told, alias="products-v1")
    shop.go(FULL, way="index")
    shop.now += timedelta(days=2)
    shop.calls.clear()
    return shop


def test_it_goes_over_the_index_of_its_own_of_the_generation_before(alias_shop: Shop) -> None:
    shop = alias_shop
    shop.go(TUNED)
    assert (shop.live.way, shop.live.index) == ("query", "products-gen-1")
    assert shop.written() == 0
    shop.is_whole()
    shop.now += timedelta(days=2)
    with shop.target.owned() as lease:
        assert all("products-gen-1" not in each for each in _taken_over(shop, lease))
    assert shop.states() == {1: State.RETIRED, 2: State.LIVE}
    shop.is_whole()


def _taken_over(shop: Shop, lease: Lease) -> list[str]:
    before = len(shop.told.steps)
    take_over(shop.target, lease, shop.told)
    return [sentence for _, sentence in shop.told.steps[before:]]


def test_from_it_to_a_new_index_and_back_again(alias_shop: Shop) -> None:
    shop = alias_shop
    shop.go(TUNED)
    shop.go(OTHER, way="index")
    assert shop.live.index == "products-gen-3"
    shop.put(d3="red lamp", new="blue lamp")
    shop.follow()
    shop.is_whole()
    with shop.target.owned() as lease:
        put_back(shop.target, lease, shop.told, reason="the test")
    assert (shop.live.fingerprint, shop.live.index) == (TUNED.fingerprint, "products-gen-1")
    shop.is_whole()
    shop.put(d4="green lamp")
    assert shop.follow() == 1
    shop.is_whole()
