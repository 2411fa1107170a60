"""Click logs of any shape in OpenSearch."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from opensearchpy import OpenSearch, helpers
from pydantic import ValidationError

from desireline.connectors.errors import EngineUnavailableError, IndexMissingError
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.connectors.logs.opensearch_index import IndexLogs, IndexLogsConfig
from desireline.connectors.opensearch_client import OpenSearchSettings

SEARCHES = {"query_id": "id", "text": "words", "at": "when", "shown": "found.ids"}
CLICKS = {"query_id": "search", "at": "ts", "document_id": "sku", "type": "verb"}


class Shop:
    """An application that logs its searches and clicks its own way."""

    def __init__(self, url: str, prefix: str) -> None:
        self.client = OpenSearch(url, timeout=60)
        self.settings = OpenSearchSettings(url=url)
        self.searches, self.clicks = f"{prefix}searches", f"{prefix}clicks"

    def source(self, window: str = "10000d", **of_clicks: Any) -> IndexLogs:
        indexes = [
            {"index": self.searches, "default_type": "query", "fields": SEARCHES},
            {"index": f"{self.clicks}*", "fields": CLICKS, **of_clicks},
        ]
        config = IndexLogsConfig.model_validate({"indexes": indexes, "window": window})
        return IndexLogs(config, self.settings)

    def add(self, index: str, *records: dict[str, Any]) -> None:
        helpers.bulk(self.client, ({"_index": index, "_source": record} for record in records))

    def both(self) -> None:
        self.add(self.searches, {"id": 1, "words": "red shoes", "when": "2026-03-03T09:00:00Z"})
        self.add(self.clicks, click("a"))


def click(sku: str, **more: Any) -> dict[str, Any]:
    return {"verb": "click", "search": 1, "sku": sku, "ts": "2026-03-03T09:00:05Z", **more}


def clicked(batches: Iterable[LogBatch]) -> list[str]:
    return sorted(action.document_id for batch in batches for action in batch.actions)


@pytest.fixture
def shop(opensearch_url: str, index_prefix: str) -> Iterator[Shop]:
    made = Shop(opensearch_url, index_prefix)
    yield made
    made.client.close()


@pytest.mark.opensearch
def test_searches_and_clicks_of_two_shapes_are_one_log(shop: Shop) -> None:
    shop.both()
    batches = list(shop.source().pull())
    (search,) = (query for batch in batches for query in batch.queries)
    (action,) = (action for batch in batches for action in batch.actions)
    assert (search.query_id, search.text) == ("1", "red shoes")
    assert (action.query_id, action.document_id) == ("1", "a")
    assert action.at == datetime(2026, 3, 3, 9, 0, 5, tzinfo=UTC)
    shop.add(shop.clicks, click("late", ts="2026-01-01T00:00:00Z"))
    assert clicked(shop.source().pull(Cursor(batches[-1].cursor.token))) == ["late"]


@pytest.mark.opensearch
def test_a_pattern_takes_indexes_that_come_later(shop: Shop) -> None:
    shop.both()
    *_, last = shop.source().pull()
    shop.add(f"{shop.clicks}-2", click("b"))
    assert clicked(shop.source().pull(last.cursor)) == ["b"]


@pytest.mark.opensearch
@pytest.mark.parametrize("mapped", ["text", "keyword"])
def test_only_the_records_of_one_shop_are_read(shop: Shop, mapped: str) -> None:
    properties = {"shop": {"type": mapped}}
    shop.client.indices.create(index=shop.clicks, body={"mappings": {"properties": properties}})
    shop.both()
    shop.add(shop.clicks, click("b", shop="main shop"), click("c", shop="the main shop"))
    assert clicked(shop.source(only={"shop": "main shop"}).pull()) == ["b"]


@pytest.mark.opensearch
@pytest.mark.parametrize(("mapped", "left"), [("date", ["new"]), ("long", ["new", "old"])])
def test_the_window_leaves_out_what_is_older_where_times_are_dates(
    shop: Shop, mapped: str, left: list[str]
) -> None:
    properties = {"ts": {"type": mapped}}
    shop.client.indices.create(index=shop.clicks, body={"mappings": {"properties": properties}})
    shop.add(shop.searches, {"id": 1, "words": "red shoes", "when": "2026-03-03T09:00:00Z"})
    shop.add(shop.clicks, click("old", ts=1_700_000_000_000), click("new", ts=32_000_000_000_000))
    assert clicked(shop.source(window="30d").pull()) == left


@pytest.mark.opensearch
def test_other_words_for_actions_are_mapped_and_others_counted(shop: Shop) -> None:
    shop.both()
    shop.add(shop.clicks, click("b", verb="bought"), click("c", verb="scroll"), click("d", verb=""))
    batches = list(shop.source(types={"bought": "purchase"}).pull())
    kinds = {a.document_id: a.kind for batch in batches for a in batch.actions}
    assert kinds == {"a": "click", "b": "purchase"}
    defects = {name: n for batch in batches for name, n in batch.defects.items()}
    assert defects["event of another action"] == 1
    assert defects["record without a type"] == 1


@pytest.mark.opensearch
def test_a_missing_index_is_named(shop: Shop) -> None:
    with pytest.raises(IndexMissingError, match="no such index"):
        list(shop.source().pull())


def test_without_a_cluster_the_next_step_is_named() -> None:
    config = IndexLogsConfig.model_validate({"indexes": [{"index": "x"}]})
    with pytest.raises(EngineUnavailableError) as refused:
        IndexLogs.open(config, None)
    assert "files" in refused.value.next_step


def test_an_index_must_be_named() -> None:
    with pytest.raises(ValidationError):
        IndexLogsConfig.model_validate({"indexes": []})
