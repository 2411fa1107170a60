"""Every document gets its vector once, no edit is lost, and the proof finds what is wrong."""

from typing import Any

import numpy as np
import pytest

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
from desireline.sidecar.catchup import catch_up
from desireline.sidecar.embedding_writer import failed_documents
from desireline.sidecar.verify import verify

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
