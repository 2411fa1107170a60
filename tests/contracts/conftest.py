"""Every implementation of every port, by name, and shorthand to play with an index."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import pytest

from desireline.connectors.documents import Document, EmbeddingWrite, Outcome, Stamp, Vector
from desireline.connectors.engines.lancedb import LanceDbEngine
from desireline.connectors.engines.memory import MemoryEngine
from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.search_engine import (
    Application,
    Fence,
    Hit,
    Read,
    SearchEngine,
    Slot,
    Within,
)

DIMENSION = 16


class Engine(SearchEngine, Application, Protocol):
    """Both sides of an engine."""


@dataclass(frozen=True)
class Shop:
    """An index with the text fields `title` and `description` and two slots.

    They are long enough for every library to take them for vectors.
    """

    engine: Engine
    index: str
    slot: ClassVar = Slot(name="embedding__a", dimension=DIMENSION)
    other_slot: ClassVar = Slot(name="embedding__b", dimension=DIMENSION)
    all: ClassVar = Read(
        fields=("title", "description"),
        slots=("embedding__a", "embedding__b"),
        embeddings=True,
    )

    def put(self, **titles: str) -> None:
        """Write whole documents as the application."""
        self.engine.index_documents(
            self.index,
            [Document(document_id=key, fields={"title": text}) for key, text in titles.items()],
        )

    def read(self) -> dict[str, Document]:
        """Read all by a scan, which must return no document twice."""
        found = [document for batch in self.engine.scan(self.index, self.all) for document in batch]
        by_id = {document.document_id: document for document in found}
        assert len(by_id) == len(found)
        return by_id

    def changed(self, since: Fence) -> dict[str, Document]:
        """Read what was written after the fence."""
        until = self.engine.fence(self.index)
        found = [
            document
            for batch in self.engine.changes(self.index, since, until, self.all)
            for document in batch
        ]
        by_id = {document.document_id: document for document in found}
        assert len(by_id) == len(found)
        return by_id

    def write(self, document: Document, embedding: Vector | None, **more: Any) -> Outcome:
        """Write one embedding into the slot under the document's version."""
        slot = more.pop("slot", self.slot)
        writes = [self.write_of(document, embedding, **more)]
        (result,) = self.engine.write_embeddings(self.index, slot.name, writes)
        assert result.document_id == document.document_id
        return result.outcome

    def write_of(
        self, document: Document, embedding: Vector | None, generation: int = 1
    ) -> EmbeddingWrite:
        """Return a write under the document's version."""
        assert document.version is not None
        return EmbeddingWrite(
            document_id=document.document_id,
            version=document.version,
            vector=embedding,
            stamp=self.stamp(generation),
            routing=document.routing,
        )

    @staticmethod
    def stamp(generation: int) -> Stamp:
        return Stamp(generation=generation, digest="d" * 64, fencing=7)

    @staticmethod
    def vector(*numbers: float) -> Vector:
        return np.array([*numbers, *[0.0] * (DIMENSION - len(numbers))], dtype=np.float32)

    def search(
        self,
        *numbers: float,
        slot: Slot | None = None,
        k: int = 10,
        generation: int = 1,
        within: Within | None = None,
    ) -> list[Hit]:
        """Return the hits nearest to a vector, best first, once all is visible to searches."""
        self.read()
        name = (slot or self.slot).name
        return self.engine.search_vectors(
            self.index, name, self.vector(*numbers), k, generation=generation, within=within
        )

    def nearest(self, *numbers: float, **how: Any) -> list[str]:
        """Return the ids of the hits."""
        return [hit.document_id for hit in self.search(*numbers, **how)]

    def matching(self, text: str, *fields: tuple[str, float]) -> list[str]:
        """Return the ids that match a text, best first, once all is visible to searches."""
        self.read()
        hits = self.engine.search_text(self.index, fields or [("title", 1.0)], text, 10)
        return [hit.document_id for hit in hits]


@pytest.fixture(
    params=["memory", "lancedb", pytest.param("opensearch", marks=pytest.mark.opensearch)]
)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    built: Engine
    if request.param == "memory":
        built = MemoryEngine()
    elif request.param == "lancedb":
        built = LanceDbEngine(tmp_path / "lance")
    else:
        url = request.getfixturevalue("opensearch_url")
        built = OpenSearchEngine(OpenSearchSettings(url=url))
    yield built
    built.close()


@pytest.fixture
def new_index(request: pytest.FixtureRequest, engine: Engine) -> str:
    """Name of an index that does not exist yet and is dropped at the end."""
    if isinstance(engine, OpenSearchEngine):
        return str(request.getfixturevalue("index_prefix")) + "products"
    return "products"


@pytest.fixture
def shop(engine: Engine, new_index: str) -> Shop:
    """A shop without documents."""
    shop = Shop(engine, new_index)
    engine.create_index(new_index, ["title", "description"])
    engine.prepare_slot(new_index, shop.slot)
    engine.prepare_slot(new_index, shop.other_slot)
    return shop
