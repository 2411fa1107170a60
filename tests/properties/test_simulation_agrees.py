"""The simulated OpenSearch answers as the real one does, call for call, number for number."""

import itertools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from simulated_client import Network, engine_over
from simulated_node import SimulatedNode
from simulated_schedule import Schedule

from desireline.connectors.documents import Document, EmbeddingWrite, Stamp, Version
from desireline.connectors.engines.memory import MemoryEngine
from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.errors import ConnectorError
from desireline.connectors.generation_indexes import (
    CopyDelete,
    CopyWrite,
    DocumentKey,
    IndexLabel,
    IndexOverrides,
    sequence_version,
)
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.search_engine import Fence, Read, Slot

SLOT = Slot(name="embedding__a", dimension=2)
READ = Read(fields=("title", "level"), slots=(SLOT.name,), embeddings=True, batch_size=3)
KEYS = st.sampled_from(["a", "b", "c", "o'd"])
WORDS = st.sampled_from(["red", "blue", ""])
DIRECTIONS = st.sampled_from([(1.0, 0.0), (0.6, 0.8), None, (float("nan"), 1.0), (1.0, 2.0, 3.0)])

Pair = tuple[Any, Any]


def simulated() -> OpenSearchEngine:
    rng = random.Random(0)
    return engine_over(Network(SimulatedNode(rng=rng), Schedule(rng), rng), "here")


GENERATION = IndexLabel(target="t", generation=1, copied_from="source", versions="sequence")
VERSIONS = st.integers(1, 6).map(lambda seq_no: sequence_version(1, seq_no))
OWNERS = st.integers(1, 3)


class SimulationAgrees(RuleBasedStateMachine):
    """Tells both the same story. Sequence numbers and versions are compared too."""

    real: OpenSearchEngine
    prefix: str
    numbers = itertools.count()
    reads = Bundle("reads")
    fences = Bundle("fences")

    @initialize()
    def begin(self) -> None:
        number = next(self.numbers)
        self.names = [f"{self.prefix}{number}-{half}" for half in "ab"]
        self.name = f"{self.prefix}{number}"
        self.engines = (simulated(), self.real)
        self.memory = MemoryEngine()
        self.memory.create_index(self.name, ["title"])
        self.memory.prepare_slot(self.name, SLOT)
        self.behind = self.names[0]
        for engine in self.engines:
            for name in self.names:
                engine.create_index(name, ["title"])
                engine.prepare_slot(name, SLOT)
            self.call(engine, "POST", "/_aliases", {"actions": [self.add(self.behind)]})
        self.swapped = self.blocked = False

    def add(self, index: str) -> dict[str, Any]:
        return {"add": {"index": index, "alias": self.name}}

    def teardown(self) -> None:
        for name in getattr(self, "names", ()):
            self.real.drop_index(name)

    @staticmethod
    def call(engine: OpenSearchEngine, method: str, path: str, body: Any = None) -> Any:
        return engine._cluster.call(method, path, body=body)

    def same(self, ask: Callable[[OpenSearchEngine], Any]) -> Any:
        here, there = (attempt(ask, engine) for engine in self.engines)
        assert here == there
        return here

    @rule(titles=st.dictionaries(KEYS, WORDS, min_size=1, max_size=3), level=st.integers(1, 3))
    def index(self, titles: dict[str, str], level: int) -> None:
        documents = [
            Document(document_id=key, fields={"title": title, "level": level})
            for key, title in titles.items()
        ]
        self.same(lambda engine: engine.index_documents(self.name, documents))
        if not self.blocked:
            self.memory.index_documents(self.name, documents)

    @rule(key=KEYS, title=WORDS)
    def update(self, key: str, title: str) -> None:
        told = self.same(lambda engine: engine.update_fields(self.name, key, {"title": title}))
        if not isinstance(told, str):
            self.memory.update_fields(self.name, key, {"title": title})

    @rule(keys=st.lists(KEYS, min_size=1, max_size=2))
    def delete(self, keys: list[str]) -> None:
        self.same(lambda engine: engine.delete_documents(self.name, keys))
        if not self.blocked:
            self.memory.delete_documents(self.name, keys)

    @rule(target=reads)
    def read(self) -> Any:
        found = [list_of(engine.scan(self.name, READ)) for engine in self.engines]
        assert plain(found[0]) == plain(found[1])
        return multiple(*zip(*found, strict=True))

    @rule(pairs=st.lists(reads, min_size=1, max_size=3), direction=DIRECTIONS, stale=st.booleans())
    def write(self, pairs: list[Pair], direction: Any, stale: bool) -> None:
        told = []
        for side, engine in enumerate(self.engines):
            writes = [embedding(pair[side], direction, stale=stale) for pair in pairs]

            def send(engine: OpenSearchEngine, writes: Any = writes) -> Any:
                found = engine.write_embeddings(self.name, SLOT.name, writes)
                return [(result.document_id, result.outcome) for result in found]

            told.append(attempt(send, engine))
        assert told[0] == told[1]

    @rule(target=fences)
    def fence(self) -> Pair:
        here, there = (engine.fence(self.name) for engine in self.engines)
        assert sorted(here.positions.values()) == sorted(there.positions.values())
        return here, there

    @rule(since=fences)
    def changes(self, since: tuple[Fence, Fence]) -> None:
        found = [
            list_of(engine.changes(self.name, fence, engine.fence(self.name), READ))
            for fence, engine in zip(since, self.engines, strict=True)
        ]
        assert plain(found[0]) == plain(found[1])

    @rule(keys=st.lists(KEYS, min_size=1, max_size=3, unique=True))
    def fetch(self, keys: list[str]) -> None:
        wanted = [Document(document_id=key, fields={}) for key in keys]
        self.same(lambda engine: plain(engine.fetch(self.name, wanted, READ)))

    @rule()
    def count(self) -> None:
        self.same(lambda engine: engine.coverage(self.name, SLOT.name, 1))

    @rule()
    def search(self) -> None:
        query = np.array([1.0, 0.25], np.float32)

        def found(engine: OpenSearchEngine) -> dict[str, float]:
            engine.coverage(self.name, SLOT.name, 1)  # refreshes
            hits = engine.search_vectors(self.name, SLOT.name, query, 10, generation=1)
            return {hit.document_id: round(hit.score, 3) for hit in hits}

        self.same(found)

    @rule()
    def clear(self) -> None:
        self.same(lambda engine: engine.clear_slot(self.name, SLOT.name))

    @rule(on=st.booleans())
    def block(self, on: bool) -> None:
        for engine in self.engines:
            if on:
                self.call(engine, "PUT", f"/{self.behind}/_block/write")
            else:
                body = {"index.blocks.write": None}
                self.call(engine, "PUT", f"/{self.behind}/_settings", body)
        self.blocked = on

    @rule(right=st.booleans())
    def swap(self, right: bool) -> None:
        """The alias moves if it stands where we believe; else nothing changes."""
        if self.blocked:
            return
        other = self.names[1 - self.names.index(self.behind)]
        believed = self.behind if right else other
        remove = {"remove": {"index": believed, "alias": self.name, "must_exist": True}}
        body = {"actions": [remove, self.add(other)]}
        told = self.same(lambda engine: self.call(engine, "POST", "/_aliases", body) and None)
        assert isinstance(told, str) is not right
        if right:
            self.behind, self.swapped = other, True

    @invariant()
    def hold_the_same(self) -> None:
        if not hasattr(self, "behind"):
            return
        found = [list_of(engine.scan(self.name, READ)) for engine in self.engines]
        assert plain(found[0]) == plain(found[1])
        if not self.swapped:
            kept = {d.document_id: d.fields for d in list_of(self.memory.scan(self.name, READ))}
            assert {d.document_id: d.fields for d in found[0]} == kept


class CopiesAgree(RuleBasedStateMachine):
    """Tells both of an index behind an alias and of its copy: what the new-index way asks for."""

    real: OpenSearchEngine
    prefix: str
    numbers = itertools.count()

    @initialize()
    def begin(self) -> None:
        self.alias = f"{self.prefix}c{next(self.numbers)}"
        self.source, self.copy = f"{self.alias}-v1", f"{self.alias}-gen-1"
        self.engines = (simulated(), self.real)
        named = {"actions": [{"add": {"index": self.source, "alias": self.alias}}]}
        for engine in self.engines:
            engine.create_index(self.source, ["title"])
            SimulationAgrees.call(engine, "POST", "/_aliases", named)
            engine.create_generation_index(
                self.source, self.copy, SLOT, GENERATION, IndexOverrides()
            )

    def teardown(self) -> None:
        for name in (getattr(self, "source", None), getattr(self, "copy", None)):
            if name is not None:
                self.real.drop_index(name)

    def same(self, ask: Callable[[OpenSearchEngine], Any]) -> Any:
        here, there = (attempt(ask, engine) for engine in self.engines)
        assert here == there
        return here

    @rule(key=KEYS, title=WORDS)
    def index(self, key: str, title: str) -> None:
        document = Document(document_id=key, fields={"title": title})
        self.same(lambda engine: engine.index_documents(self.alias, [document]))

    @rule(keys=st.lists(KEYS, min_size=1, max_size=2))
    def delete(self, keys: list[str]) -> None:
        self.same(lambda engine: engine.delete_documents(self.alias, keys))

    @rule(key=KEYS, title=WORDS, version=VERSIONS, owner=st.none() | OWNERS)
    def write_copy(self, key: str, title: str, version: int, owner: int | None) -> None:
        write = CopyWrite(
            document_id=key,
            routing=None,
            source={"title": title},
            version=version,
            vector=np.array([1.0, 0.0], np.float32),
            stamp=Stamp(generation=1, digest="d" * 64, fencing=1),
        )
        name = self.written_as(owner)
        self.same(lambda engine: outcomes(engine.write_copies(name, SLOT.name, [write])))

    @rule(key=KEYS, version=VERSIONS, owner=st.none() | OWNERS)
    def delete_copy(self, key: str, version: int, owner: int | None) -> None:
        delete = CopyDelete(document_id=key, routing=None, version=version)
        name = self.written_as(owner)
        self.same(lambda engine: outcomes(engine.delete_copies(name, [delete])))

    def written_as(self, owner: int | None) -> str:
        """The copy's own name, or that of an owner, void or not."""
        return self.copy if owner is None else f"{self.copy}-Owner-{owner}"

    @rule(owner=OWNERS)
    def own(self, owner: int) -> None:
        self.same(lambda engine: engine.own_copies(self.copy, owner))

    @rule(number=st.integers(1, 2))
    def block(self, number: int) -> None:
        ticket = f"{self.copy}-ticket-1-{number}"
        self.same(lambda engine: engine.block_writes(self.source, ticket))

    @rule()
    def unblock(self) -> None:
        self.same(lambda engine: engine.unblock_writes(self.source))

    @rule(number=st.integers(1, 2), back=st.booleans())
    def swap(self, number: int, back: bool) -> None:
        sides = (self.copy, self.source) if back else (self.source, self.copy)
        ticket = f"{self.copy}-ticket-1-{number}"
        self.same(lambda engine: engine.swap_alias(self.alias, *sides, ticket))

    @rule(keys=st.lists(KEYS, min_size=1, max_size=3, unique=True))
    def absent(self, keys: list[str]) -> None:
        wanted = [DocumentKey(document_id=key, routing=None, number=0) for key in keys]
        self.same(lambda engine: engine.absent(self.source, wanted))
        self.same(lambda engine: whole(engine.fetch_whole(self.copy, wanted)))

    @rule()
    def drop(self) -> None:
        """Refused while the alias names it; what else is told of an index that is gone agrees."""
        self.same(lambda engine: engine.drop_generation_index(self.source))
        self.same(lambda engine: engine.label(self.copy))
        self.same(lambda engine: engine.absent(f"{self.alias}-none", []))

    @invariant()
    def hold_the_same(self) -> None:
        if not hasattr(self, "alias"):
            return
        self.same(lambda engine: engine.alias_state(self.alias))
        for index in (self.source, self.copy):
            self.same(lambda engine, index=index: aliases_of(engine, index))  # type: ignore[misc]
            self.same(lambda engine, index=index: engine.is_blocked(index))  # type: ignore[misc]
            self.same(lambda engine, index=index: keys_of(engine, index))  # type: ignore[misc]


def outcomes(results: Any) -> list[Any]:
    return [result.outcome for result in results]


def whole(documents: Any) -> list[Any]:
    kept = [(d.document_id, dict(d.source), d.number, d.seq_no, dict(d.stamps)) for d in documents]
    return sorted(kept, key=lambda each: each[0])


def keys_of(engine: OpenSearchEngine, index: str) -> list[tuple[str, int]]:
    pages = engine.document_keys(index, 2)
    return sorted((key.document_id, key.number) for page in pages for key in page)


def aliases_of(engine: OpenSearchEngine, index: str) -> Any:
    return SimulationAgrees.call(engine, "GET", f"/{index}/_alias")


def attempt(ask: Callable[[OpenSearchEngine], Any], engine: OpenSearchEngine) -> Any:
    """Return the answer, or the family of the error."""
    try:
        return ask(engine)
    except ConnectorError as error:
        return type(error).__name__


def embedding(document: Document, direction: Any, *, stale: bool) -> EmbeddingWrite:
    version = document.version
    assert version is not None
    if stale:
        version = Version(seq_no=version.seq_no + 1000, primary_term=version.primary_term)
    return EmbeddingWrite(
        document_id=document.document_id,
        version=version,
        vector=None if direction is None else np.array(direction, np.float32),
        stamp=Stamp(generation=1, digest="d" * 64, fencing=1),
    )


def list_of(pages: Any) -> list[Document]:
    found = [document for page in pages for document in page]
    return sorted(found, key=lambda document: document.document_id)


def plain(documents: list[Document]) -> list[tuple[Any, ...]]:
    return [
        (
            d.document_id,
            dict(d.fields),
            d.version,
            dict(d.stamps),
            {name: np.round(vector, 4).tolist() for name, vector in d.embeddings.items()},
        )
        for d in documents
    ]


@pytest.mark.opensearch
@pytest.mark.parametrize("machine", [SimulationAgrees, CopiesAgree])
def test_the_simulation_and_a_real_node_tell_the_same_story(
    opensearch_url: str, index_prefix: str, machine: Any
) -> None:
    class Story(machine):
        real = OpenSearchEngine(OpenSearchSettings(url=opensearch_url))
        prefix = index_prefix

    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=8,
            stateful_step_count=12,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
