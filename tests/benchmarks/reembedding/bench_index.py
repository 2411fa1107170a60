"""The benchmark's indexes: made anew for every run, so that no run meets another's deletions."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from opensearchpy import OpenSearch

from desireline.connectors.documents import Document, EmbeddingWrite, Stamp, Vectors, Version
from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.engines.opensearch_bulk import embedding_line
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.search_engine import Read, Slot

SLOT = "embedding__a"
OTHER_SLOT = "embedding__b"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCosts:
    """Seconds of OpenSearch's own threads, from the index's statistics."""

    indexing_s: float
    refresh_s: float
    merge_s: float


class Indexes:
    """What the owner of the indexes does, and what OpenSearch says of them."""

    def __init__(self, url: str, prefix: str) -> None:
        settings = OpenSearchSettings(url=url, timeout_s=120)
        self.engine = OpenSearchEngine(settings, visible_at_once=False)
        self.client = OpenSearch([url], timeout=120)
        self.prefix = prefix

    def name(self, way: str) -> str:
        return f"{self.prefix}{way}"

    def make(
        self,
        way: str,
        pages: Iterable[Sequence[Document]],
        *,
        fields: Sequence[str] = ("title", "description"),
        dimension: int | None = 384,
    ) -> str:
        """Make an index with the documents in it and, where a dimension is given, an empty slot."""
        index = self.name(way)
        self.engine.drop_index(index)
        self.engine.create_index(index, fields)
        if dimension is not None:
            self.engine.prepare_slot(index, Slot(name=SLOT, dimension=dimension))
        for page in pages:
            self.engine.index_documents(index, page)
        self.refresh(index)
        return index

    def make_fresh(self, way: str) -> str:
        """Make an empty index as a bulk load wants it: no refreshes in between."""
        index = self.make(way, [])
        body = {"index.refresh_interval": "-1"}
        self.client.indices.put_settings(index=index, body=body)
        return index

    def refresh(self, index: str) -> float:
        """Make all visible, and the graph with it; return the seconds."""
        began = time.monotonic()
        self.client.indices.refresh(index=index)
        return time.monotonic() - began

    def costs(self, index: str) -> EngineCosts:
        found = self.client.indices.stats(index=index, metric="indexing,refresh,merge")
        held = found["_all"]["primaries"]
        return EngineCosts(
            indexing_s=held["indexing"]["index_time_in_millis"] / 1000,
            refresh_s=held["refresh"]["total_time_in_millis"] / 1000,
            merge_s=held["merges"]["total_time_in_millis"] / 1000,
        )

    def vectors(self, index: str) -> tuple[list[str], Vectors]:
        """Every document's vector, in order of the document_ids."""
        read = Read(slots=(SLOT,), embeddings=True)
        found = {
            document.document_id: document.embeddings[SLOT]
            for page in self.engine.scan(index, read)
            for document in page
        }
        names = sorted(found)
        return names, np.stack([found[name] for name in names])

    def close(self) -> None:
        for name in self.client.indices.get(index=f"{self.prefix}*,.desireline-{self.prefix}*"):
            self.client.indices.delete(index=name)
        self.engine.close()
        self.client.close()


def json_seconds(documents: int, dimension: int = 384) -> float:
    """Seconds it takes to write so many updates as JSON."""
    drawn = np.random.default_rng(0).standard_normal((documents, dimension)).astype(np.float32)
    writes = [
        EmbeddingWrite(
            document_id=f"d{n}",
            version=Version(seq_no=n, primary_term=1),
            vector=vector,
            stamp=Stamp(generation=1, digest="0" * 64, fencing=1),
        )
        for n, vector in enumerate(drawn)
    ]
    began = time.monotonic()
    for write in writes:
        embedding_line(SLOT, write)
    return time.monotonic() - began


def top_ten(queries: Any, vectors: Vectors) -> tuple[np.ndarray, np.ndarray]:
    """Exact scores (queries x documents) and the ten best rows of each, cosine."""
    asked = np.asarray(queries, dtype=np.float32)
    asked = asked / np.linalg.norm(asked, axis=1, keepdims=True)
    held = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = asked @ held.T
    return scores, np.argsort(-scores, axis=1, kind="stable")[:, :10]


def overlap(left: tuple[np.ndarray, np.ndarray], right: tuple[np.ndarray, np.ndarray]) -> float:
    """Mean share of the ten best that both have."""
    shares = [len(set(a) & set(b)) / 10 for a, b in zip(left[1], right[1], strict=True)]
    return float(np.mean(shares))


def identical(left: tuple[np.ndarray, np.ndarray], right: tuple[np.ndarray, np.ndarray]) -> float:
    """Share of the queries whose ten best are the same but for ties with the tenth (1e-5)."""
    same = 0
    for scores, ours, theirs in zip(left[0], left[1], right[1], strict=True):
        odd = list(set(ours.tolist()) ^ set(theirs.tolist()))
        same += bool(np.all(np.abs(scores[odd] - scores[ours[-1]]) < 1e-5)) if odd else 1
    return same / len(left[1])
