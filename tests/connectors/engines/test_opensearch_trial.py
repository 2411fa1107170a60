"""What would stop a run is found by a write that must lose; the index stays as it was."""

from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch

from desireline.connectors.documents import Document
from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.search_engine import Read, Slot

pytestmark = pytest.mark.opensearch
SLOT = Slot(name="embedding__a", dimension=4)


@pytest.fixture
def engine(opensearch_url: str) -> Iterator[OpenSearchEngine]:
    engine = OpenSearchEngine(OpenSearchSettings(url=opensearch_url))
    yield engine
    engine.close()


@pytest.fixture
def client(opensearch_url: str) -> Iterator[OpenSearch]:
    client = OpenSearch(opensearch_url, timeout=30)
    yield client
    client.close()


@pytest.fixture
def index(engine: OpenSearchEngine, index_prefix: str) -> str:
    name = f"{index_prefix}shop"
    engine.create_index(name, ["title"])
    engine.index_documents(name, [Document(document_id="a", fields={"title": "a lamp"})])
    return name


def versions(engine: OpenSearchEngine, index: str) -> list[object]:
    return [d.version for batch in engine.scan(index, Read(fields=("title",))) for d in batch]


def test_an_index_that_takes_writes_has_no_obstacle_and_is_not_written(engine, index) -> None:
    before = versions(engine, index)
    assert engine.write_obstacles(index, SLOT) == ()
    assert versions(engine, index) == before
    assert SLOT.name not in engine.describe(index).slots


def test_an_empty_index_has_no_obstacle(engine, index) -> None:
    engine.delete_documents(index, ["a"])
    assert engine.write_obstacles(index, SLOT) == ()


def test_a_write_block_is_named(engine, index, client) -> None:
    client.indices.put_settings(index=index, body={"index.blocks.write": True})
    (obstacle,) = engine.write_obstacles(index, SLOT)
    assert "a trial write" in obstacle
    assert "blocked by" in obstacle


def test_a_pipeline_that_writes_the_slot_is_named_and_another_is_not(
    engine, index, client, index_prefix
) -> None:
    pipeline = f"{index_prefix}pipeline"
    processors = [{"set": {"field": SLOT.name, "value": [0, 0, 0, 1]}}]
    client.ingest.put_pipeline(id=pipeline, body={"processors": processors})
    try:
        client.indices.put_settings(index=index, body={"index.final_pipeline": pipeline})
        (obstacle,) = engine.write_obstacles(index, SLOT)
        assert f"pipeline {pipeline!r}" in obstacle
        assert engine.write_obstacles(index, Slot(name="other__a", dimension=4)) == ()
    finally:
        client.indices.put_settings(index=index, body={"index.final_pipeline": "_none"})
        client.ingest.delete_pipeline(id=pipeline)


def test_a_mapping_without_room_for_a_slot_is_named(engine, index, client) -> None:
    client.indices.put_settings(index=index, body={"index.mapping.total_fields.limit": 3})
    (obstacle,) = engine.write_obstacles(index, SLOT)
    assert "index.mapping.total_fields.limit" in obstacle
