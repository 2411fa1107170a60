"""The embedded engine does what the memory engine does, whatever the order of things."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
)

from desireline.connectors.documents import Document, EmbeddingWrite, Stamp
from desireline.connectors.engines.lancedb import LanceDbEngine
from desireline.connectors.engines.memory import MemoryEngine
from desireline.connectors.search_engine import Fence, Read, Slot

SLOTS = (Slot(name="embedding__a", dimension=2), Slot(name="embedding__b", dimension=2))
READ = Read(fields=("title",), slots=tuple(slot.name for slot in SLOTS), embeddings=True)
KEYS = st.sampled_from(["a", "b", "o'c", "日", "e f"])
WORDS = st.sampled_from(["red shoe", "blue hat", "shoe", "", "red red hat"])
SLOT_NAMES = st.sampled_from([slot.name for slot in SLOTS])
DIRECTIONS = st.sampled_from([(1.0, 0.0), (0.6, 0.8), (0.0, 1.0), (-1.0, 0.5), None])

Pair = tuple[Document, Document]


class EnginesAgree(RuleBasedStateMachine):
    """Plays the same story on both; versions differ in number, never in effect."""

    reads = Bundle("reads")
    fences = Bundle("fences")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.engines = (MemoryEngine(), LanceDbEngine(self.folder))
        for engine in self.engines:
            engine.create_index("shop", ["title"])
            for slot in SLOTS:
                engine.prepare_slot("shop", slot)

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(titles=st.dictionaries(KEYS, WORDS, max_size=4))
    def index(self, titles: dict[str, str]) -> None:
        documents = [
            Document(document_id=key, fields={"title": title}) for key, title in titles.items()
        ]
        for engine in self.engines:
            engine.index_documents("shop", documents)

    @rule(target=reads)
    def read(self) -> object:
        here, there = (self.scanned(engine) for engine in self.engines)
        return multiple(*((here[key], there[key]) for key in sorted(here)))

    @rule(pair=consumes(reads), title=WORDS)
    def update(self, pair: Pair, title: str) -> None:
        if pair[0].document_id in self.scanned(self.engines[0]):
            for engine in self.engines:
                engine.update_fields("shop", pair[0].document_id, {"title": title})

    @rule(keys=st.lists(KEYS, max_size=2))
    def delete(self, keys: list[str]) -> None:
        for engine in self.engines:
            engine.delete_documents("shop", keys)

    @rule(
        pairs=st.lists(reads, max_size=4),
        slot=SLOT_NAMES,
        direction=DIRECTIONS,
        generation=st.integers(1, 2),
    )
    def write(
        self,
        pairs: list[Pair],
        slot: str,
        direction: tuple[float, float] | None,
        generation: int,
    ) -> None:
        vector = None if direction is None else np.array(direction, np.float32)
        stamp = Stamp(generation=generation, digest="d" * 64, fencing=1)
        outcomes = []
        for side, engine in enumerate(self.engines):
            writes = [
                EmbeddingWrite(
                    document_id=pair[side].document_id,
                    version=pair[side].version,
                    vector=vector,
                    stamp=stamp,
                )
                for pair in pairs
                if pair[side].version is not None
            ]
            results = engine.write_embeddings("shop", slot, writes)
            outcomes.append([(result.document_id, result.outcome) for result in results])
        assert outcomes[0] == outcomes[1]

    @rule(slot=SLOT_NAMES)
    def clear(self, slot: str) -> None:
        here, there = (engine.clear_slot("shop", slot) for engine in self.engines)
        assert here == there

    @rule(target=fences)
    def fence(self) -> tuple[Fence, Fence]:
        return self.engines[0].fence("shop"), self.engines[1].fence("shop")

    @rule(since=fences)
    def changes(self, since: tuple[Fence, Fence]) -> None:
        found = []
        for fence, engine in zip(since, self.engines, strict=True):
            until = engine.fence("shop")
            batches = engine.changes("shop", fence, until, READ)
            found.append(sorted(d.document_id for batch in batches for d in batch))
        assert found[0] == found[1]

    @rule()
    def restart(self) -> None:
        self.engines[1].close()
        self.engines = (self.engines[0], LanceDbEngine(self.folder))

    @rule(text=WORDS)
    def search_text(self, text: str) -> None:
        found = [
            {hit.document_id for hit in engine.search_text("shop", [("title", 1.0)], text, 10)}
            for engine in self.engines
        ]
        assert found[0] == found[1]

    @rule(slot=SLOT_NAMES, generation=st.integers(1, 3))
    def search_vectors(self, slot: str, generation: int) -> None:
        query = np.array([1.0, 0.25], np.float32)
        found = [
            {
                hit.document_id: round(hit.score, 4)
                for hit in engine.search_vectors("shop", slot, query, 10, generation=generation)
            }
            for engine in self.engines
        ]
        assert found[0] == found[1]

    @invariant()
    def hold_the_same(self) -> None:
        here, there = (self.scanned(engine) for engine in self.engines)
        assert here.keys() == there.keys()
        for key, document in here.items():
            assert document.fields == there[key].fields
            assert document.stamps == there[key].stamps
            assert _plain(document) == _plain(there[key])

    def scanned(self, engine: MemoryEngine | LanceDbEngine) -> dict[str, Document]:
        return {d.document_id: d for batch in engine.scan("shop", READ) for d in batch}


def _plain(document: Document) -> dict[str, list[float]]:
    return {name: vector.tolist() for name, vector in document.embeddings.items()}


EnginesAgree.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


class TestEnginesAgree(EnginesAgree.TestCase):  # type: ignore[misc, name-defined]
    """Collected by pytest."""
