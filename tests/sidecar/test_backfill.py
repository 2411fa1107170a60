"""Every document gets its vector once, no edit is lost, and the proof finds what is wrong."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desireline.connectors.documents import (
    Document,
    EmbeddingWrite,
    Outcome,
    Stamp,
    digest,
)
from desireline.connectors.engines.memory import MemoryEngine
from desireline.connectors.errors import EngineUnavailableError
from desireline.connectors.search_engine import Read
from desireline.sidecar.backfill import BackfillReport, backfill
from desireline.sidecar.catchup import catch_up
from desireline.sidecar.errors import RunCancelledError
from desireline.sidecar.verify import verify
from desireline.sidecar.writing.embedding_writer import Rendered, failed_documents
from desireline.sidecar.writing.windows import batches, by_length, windows

INDEX = "occupations"
SLOT = "embedding__a"


def everything(world: Any) -> dict[str, Document]:
    read = Read(fields=("title", "description", "level"), slots=(SLOT,), embeddings=True)
    return {d.document_id: d for batch in world.engine.scan(INDEX, read) for d in batch}


def assert_converged(world: Any, generation: Any) -> None:
    """Every document with text carries the vector of its present text (invariants 4, 5)."""
    encoder = world.encoders[generation.fingerprint]
    for document in everything(world).values():
        text = world.template.render(document.fields)
        stamp = document.stamps[SLOT]
        assert (stamp.generation, stamp.digest) == (generation.number, digest(text))
        if text:
            expected = encoder.encode_documents([text])[0]
            assert np.allclose(document.embeddings[SLOT], expected, atol=1e-6)
        else:
            assert SLOT not in document.embeddings


def test_every_document_gets_the_vector_of_its_text_and_other_fields_stay(world: Any) -> None:
    before = {key: dict(d.fields) for key, d in everything(world).items()}
    generation = world.begin(0, SLOT)
    report = world.backfill(world.writer(generation, world.lease()))
    assert (report.documents, report.written, report.encoded) == (10, 10, 10)
    assert_converged(world, generation)
    assert {key: dict(d.fields) for key, d in everything(world).items()} == before


def test_a_second_run_writes_and_encodes_nothing(world: Any) -> None:
    lease = world.lease()
    generation = world.begin(0, SLOT)
    world.backfill(world.writer(generation, lease))
    again = world.backfill(world.writer(generation, lease))
    assert (again.unchanged, again.written, again.encoded) == (10, 0, 0)


def test_equal_texts_are_encoded_once(world: Any) -> None:
    same = {"title": "same", "description": "text"}
    world.engine.index_documents(
        INDEX, [Document(document_id=f"same{n}", fields=same) for n in range(5)]
    )
    report = world.backfill(world.writer(world.begin(0, SLOT), world.lease()), batch_size=100)
    assert (report.documents, report.encoded) == (15, 11)


def test_what_another_slot_encoded_comes_from_the_cache(world: Any) -> None:
    lease = world.lease()
    world.backfill(world.writer(world.begin(0, SLOT), lease))
    report = world.backfill(world.writer(world.begin(0, "embedding__b"), lease))
    assert (report.written, report.encoded) == (10, 0)


def test_a_document_without_text_is_stamped_and_has_no_vector(world: Any) -> None:
    world.engine.index_documents(INDEX, [Document(document_id="empty", fields={"level": 3})])
    generation = world.begin(0, SLOT)
    world.backfill(world.writer(generation, world.lease()))
    assert_converged(world, generation)
    assert world.engine.coverage(INDEX, SLOT, generation.number).complete


def test_a_text_that_was_emptied_loses_its_vector(world: Any) -> None:
    lease = world.lease()
    generation = world.begin(0, SLOT)
    writer = world.writer(generation, lease)
    world.backfill(writer)
    world.engine.update_fields(INDEX, "d3", {"title": "", "description": ""})
    catch_up(world.engine, INDEX, generation.fence, [writer])
    assert_converged(world, generation)


@pytest.mark.parametrize("edit", ["update", "replace", "delete", "create"])
def test_an_edit_between_read_and_write_is_not_overwritten(world: Any, edit: str) -> None:
    def application() -> None:
        if edit == "update":
            world.engine.update_fields(INDEX, "d4", {"title": "edited meanwhile"})
        elif edit == "replace":
            world.engine.index_documents(
                INDEX, [Document(document_id="d4", fields={"title": "replaced meanwhile"})]
            )
        elif edit == "delete":
            world.engine.delete_documents(INDEX, ["d4"])
        else:
            world.engine.index_documents(
                INDEX, [Document(document_id="new", fields={"title": "created meanwhile"})]
            )

    def before_write(write: EmbeddingWrite) -> None:
        if write.document_id == "d4" and not done:
            done.append(edit)
            application()

    done: list[str] = []
    documents = list(everything(world).values())
    world.engine = MemoryEngine(before_write=before_write)
    world.engine.create_index(INDEX, ["title", "description"])
    world.engine.index_documents(INDEX, documents)
    generation = world.begin(0, SLOT)
    writer = world.writer(generation, world.lease())
    world.backfill(writer)
    assert done == [edit]
    verified = verify(world.engine, world.store, writer, generation.fence)
    assert verified.passes(max_failed=0), verified.sentence
    assert_converged(world, generation)
    now = everything(world)
    assert ("d4" in now) is (edit != "delete")
    if edit in {"update", "replace"}:
        assert "meanwhile" in str(now["d4"].fields["title"])
    assert ("new" in now) is (edit == "create")


def test_a_refused_document_is_listed_with_its_reason_and_blocks(world: Any) -> None:
    documents = list(everything(world).values())
    world.engine = MemoryEngine(
        before_write=lambda w: Outcome.REJECTED if w.document_id == "d7" else None
    )
    world.engine.create_index(INDEX, ["title", "description"])
    world.engine.index_documents(INDEX, documents)
    generation = world.begin(0, SLOT)
    writer = world.writer(generation, world.lease())
    world.backfill(writer)
    assert list(failed_documents(world.store, generation)) == ["d7"]
    verified = verify(world.engine, world.store, writer, generation.fence)
    assert (verified.failed, verified.stamped, verified.documents) == (1, 9, 10)
    assert not verified.passes(max_failed=0)
    assert verified.passes(max_failed=1)


def test_a_busy_engine_is_waited_for_and_everything_arrives(world: Any) -> None:
    refusals = iter([Outcome.THROTTLED] * 7)
    documents = list(everything(world).values())
    world.engine = MemoryEngine(before_write=lambda _: next(refusals, None))
    world.engine.create_index(INDEX, ["title", "description"])
    world.engine.index_documents(INDEX, documents)
    generation = world.begin(0, SLOT)
    writer = world.writer(generation, world.lease())
    world.backfill(writer)
    assert_converged(world, generation)
    assert writer.waiting_s > 0


def test_an_engine_that_stays_busy_ends_the_run_with_a_sentence(world: Any) -> None:
    documents = list(everything(world).values())
    world.engine = MemoryEngine(before_write=lambda _: Outcome.THROTTLED)
    world.engine.create_index(INDEX, ["title", "description"])
    world.engine.index_documents(INDEX, documents)
    with pytest.raises(EngineUnavailableError, match="too busy"):
        world.backfill(world.writer(world.begin(0, SLOT), world.lease()))


@pytest.mark.parametrize("corruption", ["no stamp", "other generation", "other text"])
def test_the_proof_finds_a_corrupted_document(world: Any, corruption: str) -> None:
    lease = world.lease()
    generation = world.begin(0, SLOT)
    writer = world.writer(generation, lease)
    world.backfill(writer)
    fence = catch_up(world.engine, INDEX, generation.fence, [writer]).fence
    document = everything(world)["d5"]
    right = document.stamps[SLOT]
    wrong = {
        "no stamp": None,
        "other generation": Stamp(generation=99, digest=right.digest, fencing=1),
        "other text": Stamp(generation=generation.number, digest=digest("x"), fencing=1),
    }[corruption]
    refuse = False
    hooked = MemoryEngine(before_write=lambda _: Outcome.CHANGED if refuse else None)
    hooked.create_index(INDEX, ["title", "description"])
    hooked.prepare_slot(INDEX, generation.vector_slot)
    hooked.index_documents(INDEX, list(everything(world).values()))
    for copied in [d for b in hooked.scan(INDEX, Read()) for d in b]:
        stamp = (
            wrong
            if copied.document_id == "d5"
            else everything(world)[copied.document_id].stamps[SLOT]
        )
        if stamp is None:
            continue
        assert copied.version is not None
        write = EmbeddingWrite(
            document_id=copied.document_id,
            version=copied.version,
            vector=everything(world)[copied.document_id].embeddings[SLOT],
            stamp=stamp,
        )
        hooked.write_embeddings(INDEX, SLOT, [write])
    refuse = True
    world.engine = hooked
    verified = verify(hooked, world.store, world.writer(generation, lease), fence)
    assert not verified.passes(max_failed=0)
    assert "'d5'" in verified.sentence


def test_the_proof_mends_what_an_application_writes_meanwhile(world: Any) -> None:
    generation = world.begin(0, SLOT)
    writer = world.writer(generation, world.lease())
    world.backfill(writer)
    world.engine.index_documents(
        INDEX, [Document(document_id="late", fields={"title": "late arrival"})]
    )
    verified = verify(world.engine, world.store, writer, generation.fence)
    assert verified.passes(max_failed=0)
    assert (verified.stamped, verified.documents) == (11, 11)
    assert_converged(world, generation)


class Told:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.progressed: list[tuple[int, int, dict[str, object]]] = []

    def step(self, name: str, sentence: str, **keys: object) -> None: ...

    def progress(self, name: str, done: int, total: int, **keys: object) -> None:
        assert name == "backfill"
        self.progressed.append((done, total, keys))


def refill(world: Any, texts: dict[str, str]) -> None:
    world.engine.drop_index(INDEX)
    world.engine.create_index(INDEX, ["title", "description"])
    world.engine.index_documents(
        INDEX, [Document(document_id=key, fields={"title": text}) for key, text in texts.items()]
    )


def run(world: Any, **options: Any) -> BackfillReport:
    generation = world.begin(0, SLOT)
    defaults = {"batch_size": 3, "reporter": Told()}
    writer = world.writer(generation, world.lease())
    return backfill(world.engine, writer, **(defaults | options))


def test_texts_of_like_length_share_a_batch_and_none_is_larger_than_asked(world: Any) -> None:
    """Within a window of at least 2,048 documents (performance.md §1e)."""
    refill(world, {f"d{n}": "word " * (1 + n * 7919 % 100) for n in range(2100)})
    encoder = world.encoders[world.begin(0, SLOT).fingerprint]
    seen: list[list[int]] = []
    whole = encoder.encode_documents
    encoder.encode_documents = lambda texts: seen.append([len(t) for t in texts]) or whole(texts)
    asked: list[int] = []
    report = run(world, batch_size=64, before_batch=asked.append)
    assert sum(asked) == report.written == 2100
    assert max(asked) == 64
    spread = [max(lengths) - min(lengths) for lengths in seen if lengths]
    assert max(spread) <= 5 * 5  # 21 of each length: 64 documents span at most five lengths


def test_one_document_of_ten_megabytes_goes_alone_and_fills_no_window(world: Any) -> None:
    texts = {f"d{n}": f"small text {n}" for n in range(20)} | {"big": "word " * 2_000_000}
    refill(world, texts)
    read = Read(fields=("title",), batch_size=5)
    writer = world.writer(world.begin(0, SLOT), world.lease())
    pages = (writer.stale(page) for page in world.engine.scan(INDEX, read))
    held = [
        [r.document.document_id for r in batch]
        for window in windows(pages, text_bytes=1_000_000)
        for batch in batches(by_length(window), documents=256, text_bytes=1_000_000)
    ]
    assert ["big"] in held
    assert sorted(key for batch in held for key in batch) == sorted(texts)


@given(
    lengths=st.lists(st.integers(0, 50), max_size=60),
    page=st.integers(1, 9),
    documents=st.integers(1, 12),
    text_bytes=st.integers(1, 80),
)
def test_windows_and_batches_lose_no_document_and_keep_their_bounds(
    lengths: list[int], page: int, documents: int, text_bytes: int
) -> None:
    made = [
        Rendered(document=Document(document_id=str(n), fields={}), text="ä" * length, digest="")
        for n, length in enumerate(lengths)
    ]
    pages = [made[start : start + page] for start in range(0, len(made), page)]
    gathered = list(windows(pages, documents=documents, text_bytes=text_bytes))
    assert [r for window in gathered for r in window] == made
    for window in gathered:
        assert 0 < len(window) < documents + page
        cut = list(batches(by_length(window), documents=documents, text_bytes=text_bytes))
        assert sorted(r.document.document_id for batch in cut for r in batch) == sorted(
            r.document.document_id for r in window
        )
        for batch in cut:
            assert len(batch) <= documents
            assert len(batch) == 1 or sum(2 * len(r.text) for r in batch) <= text_bytes
        order = [len(r.text) for batch in cut for r in batch]
        assert order == sorted(order, reverse=True)


def test_who_is_asked_before_a_batch_can_end_the_run_before_it_is_encoded(world: Any) -> None:
    """The throttle and the operator's cancel: within one batch nothing more is written."""

    def refuse_the_third(documents: int) -> None:
        asked.append(documents)
        if len(asked) == 3:
            raise RunCancelledError("the operator cancelled the run")

    asked: list[int] = []
    with pytest.raises(RunCancelledError):
        run(world, batch_size=2, before_batch=refuse_the_third)
    assert asked == [2, 2, 2]
    assert sum(SLOT in document.stamps for document in everything(world).values()) == 4


class Killed(BaseException):
    """Ends a run at once, as a signal does."""


def test_after_a_crash_only_the_batch_under_way_is_written_again(world: Any) -> None:
    generation = world.begin(0, SLOT)
    lease = world.lease()

    def crash_in_the_third(write: EmbeddingWrite) -> None:
        written.append(write.document_id)
        if len(written) == 6:
            raise Killed

    written: list[str] = []
    documents = list(everything(world).values())
    world.engine = MemoryEngine(before_write=crash_in_the_third)
    world.engine.create_index(INDEX, ["title", "description"])
    world.engine.index_documents(INDEX, documents)
    world.engine.prepare_slot(INDEX, generation.vector_slot)
    with pytest.raises(Killed):
        backfill(world.engine, world.writer(generation, lease), batch_size=2, reporter=Told())
    report = backfill(world.engine, world.writer(generation, lease), batch_size=2, reporter=Told())
    assert len(written) - 10 <= 2
    assert report.encoded <= 10 - 4
    assert_converged(world, generation)


def test_progress_tells_rate_and_time_left_and_ends_when_all_is_done(world: Any) -> None:
    now = [0.0]

    def a_second_later(_documents: int) -> None:
        now[0] += 1.0

    told = Told()
    report = run(
        world, batch_size=2, reporter=told, before_batch=a_second_later, monotonic=lambda: now[0]
    )
    assert [done for done, _, _ in told.progressed] == [2, 4, 6, 8, 10, 10]
    assert {total for _, total, _ in told.progressed} == {10}
    assert told.progressed[1][2] == {"slot": SLOT, "rate": 2.0, "eta_s": 3.0}
    assert told.progressed[-1][2]["eta_s"] == 0
    assert (report.seconds, report.split.held_up_s) == (5.0, 5.0)
    assert report.documents_a_second == 2.0


def test_the_parts_of_the_time_add_up_to_the_whole(world: Any) -> None:
    refill(world, {f"d{n}": f"text number {n}" for n in range(3000)})
    report = run(world, batch_size=256)
    parts = asdict(report.split)
    assert all(seconds >= 0 for seconds in parts.values()), parts
    assert sum(parts.values()) == pytest.approx(report.seconds, rel=0.2)
    assert 0 < report.encoding_share < 1
