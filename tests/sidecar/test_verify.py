"""The proof: what it counts as a difference, what it lets pass, and what it never tells."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from desireline.connectors.documents import Document, EmbeddingWrite, Outcome, Stamp
from desireline.connectors.engines.memory import MemoryEngine
from desireline.connectors.errors import PartialReadError
from desireline.connectors.search_engine import Read, Slot
from desireline.connectors.vector_check import checks
from desireline.sidecar import verify as verifying
from desireline.sidecar.proof.document_checks import Expected, PageChecks
from desireline.sidecar.proof.reencoding import Draw, Reencoder, Sample
from desireline.sidecar.proof.verification import Kind
from desireline.sidecar.verify import inspect, verify
from desireline.trainer.encoders.wrapping import WrappingEncoder

INDEX = "occupations"
SLOT = "embedding__a"


@pytest.fixture
def built(world: Any) -> Any:
    """A finished generation in the world; `built.generation` has passed every write."""
    world.lease_held = world.lease()
    generation = world.begin(0, SLOT)
    world.backfill(world.writer(generation, world.lease_held))
    world.generation = world.generations.change(
        generation, caught_up=world.engine.fence(INDEX).to_json()
    )
    return world


def read(world: Any) -> dict[str, Document]:
    wanted = Read(fields=("title", "description"), slots=(SLOT,), embeddings=True)
    return {d.document_id: d for batch in world.engine.scan(INDEX, wanted) for d in batch}


def spoil(world: Any, key: str, **stamp: Any) -> None:
    """Give a document the vector of another one, and change its stamp."""
    document = read(world)[key]
    other = read(world)["d9" if key != "d9" else "d8"]
    write = EmbeddingWrite(
        document_id=key,
        version=document.version,
        vector=other.embeddings[SLOT],
        stamp=replace(document.stamps[SLOT], **stamp),
    )
    (result,) = world.engine.write_embeddings(INDEX, SLOT, [write])
    assert result.outcome is Outcome.WRITTEN


def look(world: Any, **more: Any) -> Any:
    return inspect(world.engine, world.store, world.generation, world.template, **more)


def prove(world: Any, **more: Any) -> Any:
    writer = world.writer(world.generation, world.lease_held)
    return verify(world.engine, world.store, writer, world.generation.fence, **more)


def sample_of(world: Any, size: int) -> Sample:
    return Sample(encoder=world.encoders[world.generation.fingerprint], size=size)


def test_a_wrong_vector_under_a_right_stamp_blocks_although_no_sample_hits_it(built: Any) -> None:
    spoil(built, "d3")
    for proof in (look(built), prove(built)):
        assert dict(proof.kinds) == {Kind.OTHER_VECTOR: 1}
        assert not proof.passes(max_failed=100)
        assert "document 'd3': not the vector that was written" in proof.sentence


def test_the_sample_takes_the_encoder_itself_and_not_the_cache(built: Any) -> None:
    fingerprint = built.generation.fingerprint
    document = read(built)["d3"]
    wrong = built.encoders[fingerprint].encode_documents(["something else"])
    built.cache.forget(fingerprint)
    built.cache.put(fingerprint, {document.stamps[SLOT].digest: wrong[0]})
    built.engine.index_documents(INDEX, [Document(document_id="d3", fields=document.fields)])
    assert prove(built).clean, "the cache's mistake is stored with a stamp and a check of its own"
    proof = prove(built, sample=sample_of(built, 10))
    assert dict(proof.kinds) == {Kind.OTHER_ENCODER: 1}
    assert proof.examples[0].document_id == "d3"
    assert proof.reencoded.documents >= 10
    assert proof.reencoded.furthest > 0.1 > proof.reencoded.tolerance


def test_an_edit_nobody_has_embedded_yet_waits_and_is_no_difference(built: Any) -> None:
    built.engine.update_fields(INDEX, "d1", {"title": "edited"})
    built.engine.index_documents(INDEX, [Document(document_id="new", fields={"title": "new"})])
    proof = look(built)
    assert proof.clean
    assert proof.waiting == 2
    assert "2 were written a moment ago" in proof.sentence


def test_an_edit_explains_no_foreign_vector(built: Any) -> None:
    spoil(built, "d1", generation=7)
    spoil(built, "d2")
    assert dict(look(built).kinds) == {Kind.OTHER_GENERATION: 1, Kind.OTHER_VECTOR: 1}


def test_an_old_difference_does_not_hide_behind_new_edits(built: Any) -> None:
    built.engine.update_fields(INDEX, "d1", {"title": "edited and lost by the follower"})
    built.generation = built.generations.change(
        built.generation, caught_up=built.engine.fence(INDEX).to_json()
    )
    built.engine.update_fields(INDEX, "d2", {"title": "edited a moment ago"})
    proof = look(built)
    assert dict(proof.kinds) == {Kind.OTHER_TEXT: 1}
    assert proof.waiting == 1


def test_what_the_application_mends_between_the_two_looks_is_no_difference(built: Any) -> None:
    spoil(built, "d3")

    def mend(method: str, _index: str) -> None:
        if method == "fetch":
            built.engine._before_call = None
            built.engine.index_documents(
                INDEX, [Document(document_id="d3", fields={"title": "whole again"})]
            )

    built.engine._before_call = mend
    assert prove(built).clean
    assert look(built).clean


def test_a_deletion_between_the_two_looks_is_no_difference(built: Any) -> None:
    spoil(built, "d3")
    built.engine._before_call = lambda method, _: (
        built.engine.delete_documents(INDEX, ["d3"]) if method == "fetch" else None
    )
    assert look(built).clean


def test_more_differing_documents_than_are_kept_are_counted_and_block(
    built: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "_MOST_SUSPECTS", 3)
    for number in range(8):
        spoil(built, f"d{number}")
    proof = look(built)
    assert dict(proof.kinds) == {Kind.OTHER_VECTOR: 3}
    assert proof.not_looked_at_again == 5
    assert not proof.clean


def test_a_proof_whose_read_is_cut_off_is_an_error_and_no_verdict(built: Any) -> None:
    class CutOff(MemoryEngine):
        def enumerate(self, index: str, read: Read) -> Any:
            yield next(super().enumerate(index, replace(read, batch_size=2)))
            raise PartialReadError("a shard did not answer")

    engine = CutOff()
    engine._indexes = built.engine._indexes
    with pytest.raises(PartialReadError):
        inspect(engine, built.store, built.generation, built.template)


def test_the_report_holds_ids_and_counts_and_no_text(built: Any) -> None:
    for number in range(10):
        spoil(built, f"d{number}", digest="0" * 64)
    built.generation = built.generations.change(
        built.generation, caught_up=built.engine.fence(INDEX).to_json()
    )
    told = json.dumps(look(built).to_json())
    assert '"d3"' in told
    assert "does thing" not in told
    assert "job 3" not in told
    assert json.loads(told)["differences"] == {"stamp of another text": 10}


def test_stamps_of_older_versions_are_proved_by_the_sample_alone(built: Any) -> None:
    spoil(built, "d3", check="")
    proof = look(built)
    assert proof.clean
    assert proof.without_check == 1
    assert dict(look(built, sample=sample_of(built, 10)).kinds) == {Kind.OTHER_ENCODER: 1}


def test_a_document_without_text_needs_a_stamp_and_no_vector(built: Any) -> None:
    built.engine.index_documents(INDEX, [Document(document_id="empty", fields={"level": 3})])
    proof = prove(built, sample=sample_of(built, 11))
    assert proof.clean
    assert (proof.documents, proof.stamped) == (11, 11)
    document = read(built)["empty"]
    vector = read(built)["d1"].embeddings[SLOT]
    write = EmbeddingWrite(
        document_id="empty", version=document.version, vector=vector, stamp=document.stamps[SLOT]
    )
    built.engine.write_embeddings(INDEX, SLOT, [write])
    assert dict(look(built).kinds) == {Kind.UNWANTED_VECTOR: 1}


def test_the_sample_is_spread_and_the_same_for_the_same_seed() -> None:
    documents = [Document(document_id=str(n), fields={}) for n in range(1000)]

    def drawn(seed: int) -> list[int]:
        draw = Draw(size=50, seed=seed, total=1000)
        pages = (documents[start : start + 7] for start in range(0, 1000, 7))
        return [int(d.document_id) for page in pages for d in draw.of(page)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert [number // 20 for number in drawn(1)] == list(range(50))
    assert len(Draw(size=0, seed=1, total=1000).of(documents)) == 0
    assert len(Draw(size=5000, seed=1, total=1000).of(documents)) == 1000


class Rounding(WrappingEncoder):
    """An encoder that gives a text another vector in other company, as int8 does."""

    def __init__(self, encoder: Any, noise: float) -> None:
        super().__init__(encoder)
        self._noise = noise

    def encode_queries(self, texts: Any) -> Any:
        return self.encode_documents(texts)

    def encode_documents(self, texts: Any) -> Any:
        vectors = self._encoder.encode_documents(texts)
        drawn = np.random.default_rng(len(texts)).standard_normal(vectors.shape)
        noisy = vectors + self._noise * drawn / np.sqrt(self.dimension)
        return (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32)


def test_the_noise_of_an_encoder_is_measured_and_allowed_for(built: Any) -> None:
    encoder = Rounding(built.encoders[built.generation.fingerprint], noise=0.1)
    reencoder = Reencoder(encoder, built.template, SLOT)
    assert reencoder.differences(list(read(built).values())) == []
    assert reencoder.report.tolerance > reencoder.report.furthest > 0.001
    spoil(built, "d3")
    (difference,) = reencoder.differences(list(read(built).values()))
    assert difference.document_id == "d3"


def test_by_dot_product_a_length_far_from_all_others_is_found_without_a_check() -> None:
    slot = Slot(name="v", dimension=8, similarity="dot")

    expected = Expected(slot=slot, generation=1, template=_Fixed(), last_fencing=1)
    rows = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32) * 5

    def document(key: str, vector: Any, check: str = "") -> Document:
        stamp = Stamp(generation=1, digest=_Fixed.digest, fencing=1, check=check)
        return Document(document_id=key, fields={}, stamps={"v": stamp}, embeddings={"v": vector})

    documents = [document(str(n), row) for n, row in enumerate(rows)]
    wrong = [document("long", rows[0] * 40), document("zero", rows[0] * 0)]
    found = list(PageChecks(expected).differences([*documents, *wrong]))
    assert {(d.document_id, d.kind) for d in found} == {
        ("long", Kind.LENGTH),
        ("zero", Kind.LENGTH),
    }
    scaled = document("scaled", rows[0] * 1.5, check=checks(rows[:1])[0])
    (difference,) = PageChecks(expected).differences([*documents, scaled])
    assert (difference.document_id, difference.kind) == ("scaled", Kind.LENGTH)


class _Fixed:
    """A template that renders every document as the same text."""

    digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    fields = ()

    def render(self, _fields: Any) -> str:
        return "test"


def test_pages_of_long_vectors_are_short() -> None:
    def page(dimension: int) -> int:
        slot = Slot(name="v", dimension=dimension)
        expected = Expected(slot=slot, generation=1, template=_Fixed(), last_fencing=1)
        return expected.read.batch_size

    assert page(384) == 500
    assert page(4096) < 100
    assert page(16_000) >= 1
