"""How many of the planted corruptions does the proof find? In memory, in seconds.

python tests/verification/power.py --count 100 --json FILE
"""

import argparse
import importlib.util
import json
import sys
import tempfile
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from desireline.connectors.documents import Document, TextTemplate
from desireline.connectors.engines.memory import MemoryEngine
from desireline.connectors.generation_indexes import IndexLabel, IndexOverrides
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.generations import Generation, Generations
from desireline.sidecar.lease import acquire
from desireline.sidecar.proof.reencoding import Sample
from desireline.sidecar.proof.verification import Kind
from desireline.sidecar.steering.steps import go_on
from desireline.sidecar.verify import inspect, verify
from desireline.sidecar.ways.copy_proof import Prover
from desireline.sidecar.ways.copying import Copier, CopyParts
from desireline.sidecar.writing.embedding_cache import CachedEncoder, EmbeddingCache
from desireline.sidecar.writing.embedding_writer import EmbeddingWriter
from desireline.sidecar.writing.patience import Patience
from desireline.trainer.encoders.fake import FakeEncoder

_SPEC = importlib.util.spec_from_file_location("planted", Path(__file__).with_name("planted.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
planted = importlib.util.module_from_spec(_SPEC)
sys.modules["planted"] = planted
_SPEC.loader.exec_module(planted)

INDEX = "products"
SLOT = "embedding__a"
TEMPLATE = TextTemplate(fields=("title", "description"))
DOCUMENTS = 40
NOUNS = ["lamp", "chair", "spade", "kettle", "ladder", "anvil", "compass", "lantern"]
COPY = "products-gen-2"
#: What happens to whole documents on their way into a copy of the index.
MISSING, RESURRECTED, CHANGED = (
    "document missing from a copy",
    "document resurrected in a copy",
    "text changed in a copy",
)
COPIES = (MISSING, RESURRECTED, CHANGED)
#: Found by the engine's own count.
OVERLOOKED = "document the enumeration overlooks"


class Overlooking(MemoryEngine):
    """An engine whose enumeration leaves a document out."""

    overlooked = ""

    def enumerate(self, index: str, read: Any) -> Any:
        for documents in super().enumerate(index, read):
            yield [d for d in documents if d.document_id != self.overlooked]


@dataclass(frozen=True)
class Built:
    """A finished generation in an index of forty documents."""

    engine: Any
    store: MemoryStore
    generation: Generation
    encoder: Any
    stranger: Any
    cache: EmbeddingCache
    lease: Any

    def again(self, kind: type[MemoryEngine] = MemoryEngine) -> MemoryEngine:
        """Return a copy of the engine that may be spoilt."""
        engine = kind()
        engine._indexes = deepcopy(self.engine._indexes)
        return engine


def build(folder: Path, engine: Any = None, index: str = INDEX) -> Built:
    engine, store = engine or MemoryEngine(), MemoryStore()
    encoder, stranger = FakeEncoder(seed=0), FakeEncoder(seed=1)
    engine.create_index(index, list(TEMPLATE.fields))
    engine.index_documents(index, [document(number) for number in range(DOCUMENTS)])
    generations = Generations(store, "products")
    generation = generations.create(
        index=index,
        slot=SLOT,
        dimension=encoder.dimension,
        similarity=encoder.similarity,
        fingerprint=encoder.fingerprint,
        created_at=datetime(2026, 11, 21, tzinfo=UTC),
    )
    engine.prepare_slot(index, generation.vector_slot)
    built = Built(
        engine=engine,
        store=store,
        generation=generation,
        encoder=encoder,
        stranger=stranger,
        cache=EmbeddingCache(folder),
        lease=acquire(store, "products", ttl_s=3600),
    )
    writer = writer_of(built, engine)
    for documents in engine.scan(index, writer.read):
        writer.write(writer.stale(documents))
    return built


def document(number: int) -> Document:
    title = f"{NOUNS[number % len(NOUNS)]} {number}"
    return Document(
        document_id=f"d{number}", fields={"title": title, "description": f"made of {number} parts"}
    )


def writer_of(built: Built, engine: Any) -> EmbeddingWriter:
    return EmbeddingWriter(
        engine=engine,
        store=built.store,
        generation=built.generation,
        encoder=CachedEncoder(built.encoder, built.cache),
        template=TEMPLATE,
        lease=built.lease,
    )


def found(built: Built, name: str, seed: int) -> bool:
    """Plant one corruption and say whether that document, and no other, is found as that kind."""
    if name in COPIES:
        return _found_in_a_copy(built, name, seed)
    if name == OVERLOOKED:
        return _found_by_count(built, seed)
    return spoil_and_prove(built, built.again(), name, seed, force)


def spoil_and_prove(built: Built, engine: Any, name: str, seed: int, force: Any) -> bool:
    """Plant the corruption in this engine's index and say whether the proof finds it."""
    plant, kinds = planted.CORRUPTIONS[name]
    index = built.generation.index
    read = planted.read_of(SLOT, TEMPLATE.fields)
    documents = {d.document_id: d for batch in engine.scan(index, read) for d in batch}
    chosen, other = planted.choose(documents, seed)
    plant(
        planted.Planted(
            engine=engine,
            index=index,
            slot=SLOT,
            document=chosen,
            other=other,
            stranger=built.stranger,
            text=TEMPLATE.render(chosen.fields),
            chance=np.random.default_rng(seed),
            force=lambda key, vector: force(engine, key, vector),
        )
    )
    return _both_find(built, engine, chosen.document_id, kinds)


def force(engine: MemoryEngine, key: str, vector: Any) -> None:
    """Change what is stored past every check: the vector, or without one the stamp."""
    row = engine._indexes[INDEX].rows[key]
    if vector is None:
        row.stamps.pop(SLOT)
    else:
        row.vectors[SLOT] = vector


def _both_find(built: Built, engine: Any, key: str, kinds: Any) -> bool:
    """Before a cut-over and at any other time, when the follower has passed what was spoilt."""
    fence = engine.fence(built.generation.index)
    sample = Sample(encoder=built.encoder, size=DOCUMENTS, seed=0)
    generation = built.generation.model_copy(update={"caught_up": fence.to_json()})
    proofs = [
        inspect(engine, built.store, generation, TEMPLATE, sample=sample),
        verify(engine, built.store, writer_of(built, engine), fence, sample=sample),
    ]
    return all(
        not proof.passes(max_failed=0)
        and {example.document_id for example in proof.examples} == {key}
        and set(proof.kinds) <= kinds
        for proof in proofs
    )


def _found_by_count(built: Built, seed: int) -> bool:
    engine = built.again(Overlooking)
    engine.overlooked = f"d{seed % DOCUMENTS}"
    proof = inspect(engine, built.store, built.generation, TEMPLATE)
    return not proof.clean and set(proof.kinds) == {Kind.MISSING}


def _found_in_a_copy(built: Built, name: str, seed: int) -> bool:
    """Spoil a copy behind its copier's back; one too many is not only found but removed."""
    engine = built.again()
    copier = _copied(built, engine)
    key = f"d{seed % DOCUMENTS}"
    if name == RESURRECTED:
        key = f"{key}-deleted-by-the-application"
        engine.index_documents(COPY, [Document(document_id=key, fields={"title": "back again"})])
    elif name == MISSING:
        engine.delete_documents(COPY, [key])
    else:
        engine.update_fields(COPY, key, {"title": f"title {seed}"})
    proof = Prover(copier, failed=(), batch_size=16).prove()
    held = {k.document_id for page in engine.document_keys(COPY, 16) for k in page}
    if name == RESURRECTED:
        return proof.passes and key not in held and len(held) == DOCUMENTS
    (difference,) = proof.differences
    return repr(key) in difference


def _copied(built: Built, engine: Any) -> Copier:
    generation = built.generation.model_copy(
        update={"number": 2, "index": COPY, "copied_from": INDEX, "way": "index"}
    )
    label = IndexLabel(target="products", generation=2, copied_from=INDEX, versions="sequence")
    slot = generation.vector_slot
    engine.create_generation_index(INDEX, COPY, slot, label, IndexOverrides())
    parts = CopyParts(
        engine=engine,
        encoder=CachedEncoder(built.encoder, built.cache),
        template=TEMPLATE,
        lease=built.lease,
        may_write=lambda _: None,
        patience=lambda: Patience(0, check=built.lease.check),
        keep=lambda _: None,
        remember_failure=lambda *_: None,
        reached=go_on,
        batch_size=16,
        written_as=engine.own_copies(COPY, built.lease.fencing),
    )
    copier = Copier(parts, generation, label.versions)
    copier.catch_up()
    return copier


def names() -> list[str]:
    return [*planted.CORRUPTIONS, OVERLOOKED, *COPIES]


def measure(count: int) -> dict[str, dict[str, int]]:
    """Plant each kind so many times, with the seeds 0, 1, …; return planted and found."""
    with tempfile.TemporaryDirectory() as folder:
        built = build(Path(folder))
        clean = inspect(built.engine, built.store, built.generation, TEMPLATE)
        assert clean.clean, clean.sentence
        return {
            name: {
                "planted": count,
                "found": sum(found(built, name, seed) for seed in range(count)),
            }
            for name in names()
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="times each kind is planted")
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args()
    kinds = measure(options.count)
    for name, counts in kinds.items():
        print(f"{counts['found']:>5} of {counts['planted']:>5}  {name}")
    if options.json:
        report = {"kinds": kinds, "seeds": [0, options.count - 1]}
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if all(c["found"] == c["planted"] for c in kinds.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
