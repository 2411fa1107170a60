"""What only a cluster can get wrong; the contract suite has the rest."""

from base64 import urlsafe_b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch

from desireline.connectors.documents import Document, EmbeddingWrite, Outcome, Stamp, Vector
from desireline.connectors.engines import opensearch_bulk
from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.errors import (
    FieldMissingError,
    IndexMissingError,
    MappingConflictError,
    PartialReadError,
    WriteBlockedError,
)
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.search_engine import Coverage, Fence, Read, Slot

pytestmark = pytest.mark.opensearch

SLOT = Slot(name="embedding__a", dimension=4)
READ = Read(fields=("title",), slots=(SLOT.name,), embeddings=True, batch_size=7)


@pytest.fixture
def engine(opensearch_url: str) -> Iterator[OpenSearchEngine]:
    """An engine whose application leaves visibility to the cluster, as real ones do."""
    built = OpenSearchEngine(OpenSearchSettings(url=opensearch_url), visible_at_once=False)
    yield built
    built.close()


@pytest.fixture
def client(opensearch_url: str) -> Iterator[OpenSearch]:
    built = OpenSearch(opensearch_url, timeout=60)
    yield built
    built.close()


@pytest.fixture
def index(index_prefix: str) -> str:
    return f"{index_prefix}products"


def create(client: OpenSearch, index: str, mappings: Any = None, **settings: Any) -> None:
    settings = {"index.knn": True, "number_of_replicas": 0, "refresh_interval": "-1"} | settings
    client.indices.create(index=index, body={"settings": settings, "mappings": mappings or {}})


def documents(count: int, **more: Any) -> list[Document]:
    return [
        Document(document_id=f"d{number}", fields={"title": f"title {number}"}, **more)
        for number in range(count)
    ]


def read(engine: OpenSearchEngine, index: str) -> dict[str, Document]:
    return {found.document_id: found for batch in engine.scan(index, READ) for found in batch}


def changed(engine: OpenSearchEngine, index: str, since: Fence, until: Fence) -> set[str]:
    batches = engine.changes(index, since, until, READ)
    return {found.document_id for batch in batches for found in batch}


def write(document: Document, vector: Vector | None = None, generation: int = 1) -> EmbeddingWrite:
    assert document.version is not None
    return EmbeddingWrite(
        document_id=document.document_id,
        version=document.version,
        vector=vector if vector is not None else np.array([1, 2, 3, 4], dtype=np.float32),
        stamp=Stamp(generation=generation, digest="d" * 64, fencing=7),
        routing=document.routing,
    )


def test_every_shard_is_read_and_what_was_just_written_too(
    engine: OpenSearchEngine, client: OpenSearch, index: str
) -> None:
    create(client, index, number_of_shards=5)
    engine.prepare_slot(index, SLOT)
    engine.index_documents(index, documents(100))
    assert len(read(engine, index)) == 100
    before = engine.fence(index)
    assert len(before.positions) == 5
    engine.update_fields(index, "d42", {"title": "new"})
    engine.delete_documents(index, ["d17"])
    after = engine.fence(index)
    assert changed(engine, index, before, after) == {"d42"}
    assert len(changed(engine, index, Fence(positions={}), after)) == 99


def test_the_fence_misses_no_acknowledged_write_of_many_writers(
    engine: OpenSearchEngine, client: OpenSearch, index: str
) -> None:
    """Every write lies on one side of each fence and is found exactly there."""
    create(client, index, number_of_shards=2)
    fences = [engine.fence(index)]
    with ThreadPoolExecutor(4) as writers:
        jobs = [
            writers.submit(engine.index_documents, index, [document]) for document in documents(200)
        ]
        fences += [engine.fence(index) for _ in range(5)]
        for job in jobs:
            job.result()
    fences.append(engine.fence(index))
    parts = [changed(engine, index, *pair) for pair in pairwise(fences)]
    assert sum(len(part) for part in parts) == 200
    assert set().union(*parts) == {document.document_id for document in documents(200)}


def test_a_write_between_any_two_requests_of_a_fence_is_found(
    engine: OpenSearchEngine, client: OpenSearch, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoint first, refresh after: the other way round loses what comes in between."""
    create(client, index)
    call, written = engine._cluster.call, []

    def with_a_writer(method: str, path: str, **more: Any) -> Any:
        written.append(f"w{len(written)}")
        client.index(index=index, id=written[-1], body={"title": "x"})
        return call(method, path, **more)

    monkeypatch.setattr(engine._cluster, "call", with_a_writer)
    fence = engine.fence(index)
    monkeypatch.undo()
    before = changed(engine, index, Fence(positions={}), fence)
    after = changed(engine, index, fence, engine.fence(index))
    assert before | after == set(written)
    assert before.isdisjoint(after)


def test_a_fence_of_an_index_that_was_made_again_proves_nothing(
    engine: OpenSearchEngine, client: OpenSearch, index: str
) -> None:
    create(client, index)
    old = engine.fence(index)
    client.indices.delete(index=index)
    create(client, index)
    engine.index_documents(index, documents(3))
    assert len(changed(engine, index, old, engine.fence(index))) == 3
    with pytest.raises(PartialReadError, match="made again"):
        changed(engine, index, old, old)


def test_routing_is_kept_by_reads_and_writes(
    engine: OpenSearchEngine, client: OpenSearch, index: str
) -> None:
    create(client, index, {"_routing": {"required": True}}, number_of_shards=3)
    engine.prepare_slot(index, SLOT)
    engine.index_documents(index, documents(5, routing="tenant"))
    held = list(read(engine, index).values())
    assert {document.routing for document in held} == {"tenant"}
    results = engine.write_embeddings(index, SLOT.name, [write(document) for document in held])
    assert {result.outcome for result in results} == {Outcome.WRITTEN}
    fetched = engine.fetch(index, held, READ)
    assert [document.stamps[SLOT.name].generation for document in fetched] == [1] * 5
    assert engine.coverage(index, SLOT.name, 1) == Coverage(documents=5, stamped=5)


def test_an_id_of_any_letters_is_read_written_and_deleted(
    engine: OpenSearchEngine, client: OpenSearch, index: str
) -> None:
    create(client, index)
    engine.prepare_slot(index, SLOT)
    odd = "a/b c?d=é#%2e"
    engine.index_documents(index, [Document(document_id=odd, fields={"title": "x"})])
    engine.update_fields(index, odd, {"title": "y"})
    (held,) = read(engine, index).values()
    (result,) = engine.write_embeddings(index, SLOT.name, [write(held)])
    assert result.outcome is Outcome.WRITTEN
    engine.delete_documents(index, [odd])
    assert read(engine, index) == {}


@pytest.mark.parametrize("dynamic", ["strict", "false", "true"])
def test_a_slot_fits_into_a_mapping_of_any_strictness(
    engine: OpenSearchEngine, client: OpenSearch, index: str, dynamic: str
) -> None:
    create(client, index, {"dynamic": dynamic, "properties": {"title": {"type": "text"}}})
    engine.prepare_slot(index, SLOT)
    engine.index_documents(index, documents(2))
    held = list(read(engine, index).values())
    results = engine.write_embeddings(index, SLOT.name, [write(document) for document in held])
    assert {result.outcome for result in results} == {Outcome.WRITTEN}
    assert engine.coverage(index, SLOT.name, 1).complete


@pytest.mark.parametrize("role", ["default_pipeline", "final_pipeline"])
def test_no_ingest_pipeline_runs_at_our_writes(
    engine: OpenSearchEngine, client: OpenSearch, index: str, role: str
) -> None:
    shout = {"processors": [{"set": {"field": "title", "value": "loud"}}]}
    client.ingest.put_pipeline(id=index, body=shout)
    create(client, index)
    engine.prepare_slot(index, SLOT)
    engine.index_documents(index, documents(1))
    client.indices.put_settings(index=index, body={f"index.{role}": index})
    (held,) = read(engine, index).values()
    engine.write_embeddings(index, SLOT.name, [write(held)])
    (after,) = read(engine, index).values()
    client.indices.put_settings(index=index, body={f"index.{role}": "_none"})
    client.ingest.delete_pipeline(id=index)
    assert after.fields["title"] == "title 0"
    assert SLOT.name in after.stamps


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"index.knn": False}, "without index.knn"),
        ({"index.append_only.enabled": True}, "append-only"),
        ({"mappings": {"_source": {"excludes": ["secret"]}}}, "filters its _source"),
        ({"mappings": {"_source": {"enabled": False}}}, "keeps no _source"),
        ({"index.blocks.write": True}, "index.blocks.write"),
    ],
)
def test_what_hinders_writing_in_place_is_told(
    engine: OpenSearchEngine, client: OpenSearch, index: str, made: dict[str, Any], words: str
) -> None:
    create(client, index, **made)
    (obstacle,) = engine.describe(index).obstacles
    assert words in obstacle
    assert index in obstacle


def test_an_ordinary_index_has_no_obstacle(
    engine: OpenSearchEngine, client: OpenSearch, index: str
) -> None:
    properties = {
        "title": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
        "brand": {"properties": {"name": {"type": "keyword"}}},
    }
    create(client, index, {"properties": properties}, number_of_shards=2)
    described = engine.describe(index)
    assert described.obstacles == ()
    assert (described.shards, described.vectors_enabled, described.slots) == (2, True, {})
    assert described.fields == {
        "title": "text",
        "title.raw": "keyword",
        "brand": "object",
        "brand.name": "keyword",
    }


def test_an_index_without_knn_takes_no_slot(
    engine: OpenSearchEngine, client: OpenSearch, index: str
) -> None:
    create(client, index, **{"index.knn": False})
    with pytest.raises(MappingConflictError, match=r"without index\.knn") as refused:
        engine.prepare_slot(index, SLOT)
    assert "index.knn: true" in refused.value.next_step


def test_an_alias_is_followed_to_one_index_and_refused_for_two(
    engine: OpenSearchEngine, client: OpenSearch, index: str
) -> None:
    create(client, f"{index}-1")
    client.indices.put_alias(index=f"{index}-1", name=index)
    assert engine.describe(index).index == f"{index}-1"
    engine.prepare_slot(index, SLOT)
    create(client, f"{index}-2")
    client.indices.put_alias(index=f"{index}-2", name=index)
    with pytest.raises(MappingConflictError, match="stands for 2 indexes"):
        engine.describe(index)


@pytest.mark.parametrize(
    "taken",
    [
        {"type": "float"},
        {"type": "knn_vector", "dimension": 3, "method": {"name": "hnsw", "engine": "lucene"}},
        {"type": "knn_vector", "dimension": 4, "method": {"name": "hnsw", "engine": "lucene"}},
    ],
)
def test_a_field_that_is_something_else_is_left_alone(
    engine: OpenSearchEngine, client: OpenSearch, index: str, taken: dict[str, Any]
) -> None:
    create(client, index, {"properties": {SLOT.name: taken}})
    before = client.indices.get_mapping(index=index)
    with pytest.raises(MappingConflictError, match="cosinesimil"):
        engine.prepare_slot(index, SLOT)
    assert client.indices.get_mapping(index=index) == before


@pytest.mark.parametrize("block", ["write", "read_only_allow_delete"])
def test_a_block_stops_all_writing_with_its_name(
    engine: OpenSearchEngine, client: OpenSearch, index: str, block: str
) -> None:
    """A full disk answers 429 as a busy cluster does; only the second is worth a retry."""
    create(client, index)
    engine.prepare_slot(index, SLOT)
    engine.index_documents(index, documents(3))
    held = list(read(engine, index).values())
    client.indices.put_settings(index=index, body={f"index.blocks.{block}": True})
    with pytest.raises(WriteBlockedError, match="blocked by"):
        engine.write_embeddings(index, SLOT.name, [write(document) for document in held])
    client.indices.put_settings(index=index, body={f"index.blocks.{block}": None})
    assert engine.coverage(index, SLOT.name, 1).stamped == 0


def test_one_bad_vector_does_not_hold_up_the_others(
    engine: OpenSearchEngine, client: OpenSearch, index: str
) -> None:
    create(client, index)
    engine.prepare_slot(index, SLOT)
    engine.index_documents(index, documents(5))
    held = [read(engine, index)[f"d{number}"] for number in range(5)]
    engine.delete_documents(index, ["d3"])
    engine.update_fields(index, "d4", {"title": "newer"})
    vectors = [
        np.ones(4, np.float32),
        np.ones(5, np.float32),
        np.array([1, np.nan, 1, 1], np.float32),
        np.ones(4, np.float32),
        np.ones(4, np.float32),
    ]
    writes = [write(document, vector) for document, vector in zip(held, vectors, strict=True)]
    results = engine.write_embeddings(index, SLOT.name, writes)
    assert [(result.document_id, result.outcome) for result in results] == [
        ("d0", Outcome.WRITTEN),
        ("d1", Outcome.REJECTED),
        ("d2", Outcome.REJECTED),
        ("d3", Outcome.GONE),
        ("d4", Outcome.CHANGED),
    ]
    assert "dimension" in results[1].reason.lower()
    assert "not finite" in results[2].reason


def test_a_slot_that_was_not_prepared_is_not_mapped_by_guess(
    engine: OpenSearchEngine, client: OpenSearch, index: str
) -> None:
    create(client, index)
    engine.index_documents(index, documents(1))
    (held,) = read(engine, index).values()
    with pytest.raises(FieldMissingError, match="no slot"):
        engine.write_embeddings(index, SLOT.name, [write(held)])
    assert SLOT.name not in engine.describe(index).fields


def test_writing_to_a_deleted_index_does_not_bring_it_back(
    engine: OpenSearchEngine, client: OpenSearch, index: str
) -> None:
    create(client, index)
    engine.prepare_slot(index, SLOT)
    engine.index_documents(index, documents(1))
    (held,) = read(engine, index).values()
    engine.drop_index(index)
    with pytest.raises(IndexMissingError):
        engine.write_embeddings(index, SLOT.name, [write(held)])
    assert not client.indices.exists(index=index)


def test_bodies_are_cut_by_bytes_and_by_count(
    engine: OpenSearchEngine, client: OpenSearch, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(client, index)
    engine.prepare_slot(index, SLOT)
    engine.index_documents(index, documents(20))
    held = list(read(engine, index).values())
    sizes: list[int] = []
    call = engine._cluster.call

    def counted(method: str, path: str, **more: Any) -> Any:
        if path.endswith("_bulk"):
            sizes.append(len(more["body"]))
        return call(method, path, **more)

    monkeypatch.setattr(engine._cluster, "call", counted)
    monkeypatch.setattr(opensearch_bulk, "_LARGEST_BODY", 1_000)
    writes = [write(document) for document in held]
    results = engine.write_embeddings(index, SLOT.name, writes)
    assert [result.document_id for result in results] == [held_.document_id for held_ in held]
    assert len(sizes) > 3
    assert max(sizes) <= 1_000
    monkeypatch.setattr(opensearch_bulk, "_LARGEST_BODY", 10)
    sizes.clear()
    engine.write_embeddings(index, SLOT.name, writes[:3])
    assert len(sizes) == 3


def test_searches_carry_the_applications_fields_and_no_slot(
    engine: OpenSearchEngine, client: OpenSearch, index: str
) -> None:
    create(client, index)
    other = Slot(name="embedding__b", dimension=4, similarity="dot")
    for slot in (SLOT, other):
        engine.prepare_slot(index, slot)
    engine.index_documents(index, documents(3))
    axes = np.eye(4, dtype=np.float32)
    for slot in (SLOT, other):
        held = sorted(read(engine, index).values(), key=lambda document: document.document_id)
        writes = [write(document, axes[n] * (n + 1)) for n, document in enumerate(held)]
        engine.write_embeddings(index, slot.name, writes)
    engine.coverage(index, SLOT.name, 1)
    towards = np.array([1, 1, -1, 0], np.float32)
    cosine = engine.search_vectors(index, SLOT.name, towards, 3, generation=1)
    dot = engine.search_vectors(index, other.name, towards, 3, generation=1)
    assert {hit.document_id: round(hit.score, 3) for hit in cosine} == {
        "d0": 0.577,
        "d1": 0.577,
        "d2": -0.577,
    }
    assert [(hit.document_id, round(hit.score, 3)) for hit in dot] == [
        ("d1", 2.0),
        ("d0", 1.0),
        ("d2", -3.0),
    ]
    texts = engine.search_text(index, [("title", 2.0)], "title 1", 3)
    assert texts[0].document_id == "d1"
    assert all(set(hit.fields) == {"title"} for hit in [*cosine, *dot, *texts])


def test_clearing_a_slot_leaves_the_other_and_the_fields(
    engine: OpenSearchEngine, client: OpenSearch, index: str
) -> None:
    create(client, index, number_of_shards=2)
    other = Slot(name="embedding__b", dimension=4)
    for slot in (SLOT, other):
        engine.prepare_slot(index, slot)
    engine.index_documents(index, documents(30))
    for slot in (SLOT, other):
        writes = [write(document) for document in read(engine, index).values()]
        engine.write_embeddings(index, slot.name, writes)
    assert engine.clear_slot(index, SLOT.name) == 30
    assert engine.clear_slot(index, SLOT.name) == 0
    assert engine.coverage(index, SLOT.name, 1) == Coverage(documents=30, stamped=0)
    assert engine.coverage(index, other.name, 1).complete
    for document in read(engine, index).values():
        assert (dict(document.stamps), dict(document.embeddings)) == ({}, {})
        assert str(document.fields["title"]).startswith("title")


def test_a_read_that_is_dropped_leaves_no_snapshot_behind(
    engine: OpenSearchEngine, client: OpenSearch, index: str
) -> None:
    create(client, index)
    engine.index_documents(index, documents(30))
    scan = engine.scan(index, READ)
    next(scan)
    assert snapshots(client, index) == 1
    scan.close()  # type: ignore[attr-defined]
    assert snapshots(client, index) == 0


def snapshots(client: OpenSearch, index: str) -> int:
    """Count the open snapshots of one index: their ids hold its uuid."""
    (held,) = client.indices.get_settings(index=index, flat_settings=True).values()
    uuid = held["settings"]["index.uuid"].encode()
    pits = client.get_all_pits().get("pits", [])
    return sum(uuid in urlsafe_b64decode(pit["pit_id"] + "==") for pit in pits)
