"""Reading an index forward by the numbers of its writes."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from opensearchpy import OpenSearch, helpers

from desireline.connectors.errors import ConnectorError
from desireline.connectors.log_source import Cursor
from desireline.connectors.logs.shard_log import ShardLog
from desireline.connectors.opensearch_client import Cluster, OpenSearchSettings
from desireline.connectors.opensearch_shards import readable_shards

pytestmark = pytest.mark.opensearch
RECENT = {"term": {"recent": True}}
PAGE = 10


class Index:
    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self.client = OpenSearch(url, timeout=60)
        self.cluster = Cluster(OpenSearchSettings(url=url))
        settings = {"number_of_shards": 2, "number_of_replicas": 0}
        self.client.indices.create(index=name, body={"settings": settings})

    def add(self, numbers: range, *, recent: bool = True) -> None:
        actions = (
            {"_index": self.name, "_id": str(n), "_source": {"n": n, "recent": recent, "big": "x"}}
            for n in numbers
        )
        helpers.bulk(self.client, actions)

    def pages(self, since: Cursor | None = None, *clauses: Any) -> list[tuple[list[int], Cursor]]:
        log = ShardLog(self.cluster, since, page=PAGE)
        shards = readable_shards(self.cluster, self.name)
        return [
            ([record["n"] for record in records], log.cursor)
            for records in log.read(shards, clauses)
        ]

    def read(self, since: Cursor | None = None, *clauses: Any) -> list[int]:
        return sorted(n for numbers, _ in self.pages(since, *clauses) for n in numbers)


@pytest.fixture
def index(opensearch_url: str, index_prefix: str) -> Iterator[Index]:
    made = Index(opensearch_url, f"{index_prefix}log")
    yield made
    made.client.close()
    made.cluster.close()


def test_pages_are_bounded_and_every_record_is_in_one(index: Index) -> None:
    index.add(range(157))
    pages = index.pages()
    assert max(len(numbers) for numbers, _ in pages) <= PAGE
    assert Counter(n for numbers, _ in pages for n in numbers) == Counter(range(157))


def test_old_records_cost_few_requests_and_the_new_ones_behind_them_are_all_read(
    index: Index,
) -> None:
    """Ranges grow while nothing matches, and must not cut what comes after."""
    index.add(range(600), recent=False)
    index.add(range(600, 757))
    index.add(range(757, 900), recent=False)
    index.add(range(900, 905))
    pages = index.pages(None, RECENT)
    assert sorted(n for numbers, _ in pages for n in numbers) == [
        *range(600, 757),
        *range(900, 905),
    ]
    assert len(pages) < 905 / PAGE * 0.8


def test_every_page_can_be_gone_on_from(index: Index) -> None:
    index.add(range(60), recent=False)
    index.add(range(60, 130))
    read: list[int] = []
    for numbers, cursor in index.pages(None, RECENT):
        read += numbers
        assert sorted([*read, *index.read(cursor, RECENT)]) == list(range(60, 130))


def test_gaps_of_deleted_and_overwritten_records_are_passed_over(index: Index) -> None:
    index.add(range(50))
    first = index.pages()[-1][1]
    for number in range(0, 50, 2):
        index.client.delete(index=index.name, id=str(number))
    index.add(range(50, 53))
    assert index.read() == [*range(1, 50, 2), *range(50, 53)]
    assert index.read(first) == [50, 51, 52]


def test_what_is_written_during_a_pull_waits_for_the_next(index: Index) -> None:
    index.add(range(40))
    log = ShardLog(index.cluster, None, page=PAGE)
    reading = log.read(readable_shards(index.cluster, index.name), [])
    read = [record["n"] for record in next(reading)]
    index.add(range(40, 60))
    read += [record["n"] for records in reading for record in records]
    assert sorted(read) == list(range(40))
    assert index.read(log.cursor) == list(range(40, 60))


def test_a_log_that_goes_away_under_the_reader_is_named(index: Index) -> None:
    index.add(range(100))
    log = ShardLog(index.cluster, None, page=PAGE)
    reading = log.read(readable_shards(index.cluster, index.name), [])
    next(reading)
    index.client.indices.delete(index=index.name)
    with pytest.raises(ConnectorError, match=index.name):
        list(reading)
