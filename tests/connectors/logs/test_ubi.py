"""UBI logs on a real cluster."""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch, helpers
from pydantic import ValidationError

from desireline.connectors.errors import (
    EngineUnavailableError,
    IndexMissingError,
    LogFormatError,
)
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.connectors.logs.ubi import UbiConfig, UbiLogs
from desireline.connectors.opensearch_client import OpenSearchSettings

SAMPLE = Path(__file__).parents[2] / "data" / "esci_ubi" / "ubi_queries_events.ndjson.gz"
#: The mapping of the UBI plugin, as far as it matters here.
UBI_EVENTS = {
    "application": {"type": "keyword"},
    "action_name": {"type": "keyword"},
    "timestamp": {"type": "date", "format": "strict_date_time", "ignore_malformed": True},
}


@pytest.fixture
def cluster(opensearch_url: str) -> Iterator[OpenSearch]:
    client = OpenSearch(opensearch_url, timeout=60)
    yield client
    client.close()


class Log:
    """Two UBI indexes of one test."""

    def __init__(self, cluster: OpenSearch, url: str, prefix: str) -> None:
        self.cluster, self.url = cluster, url
        self.queries, self.events = f"{prefix}queries", f"{prefix}events"

    def source(self, **settings: Any) -> UbiLogs:
        settings = {"window": "10000d", **settings}
        config = UbiConfig(queries_index=self.queries, events_index=self.events, **settings)
        return UbiLogs(config, OpenSearchSettings(url=self.url))

    def pull(self, since: Cursor | None = None, **settings: Any) -> list[LogBatch]:
        return list(self.source(**settings).pull(since))

    def add(self, index: str, records: Iterable[dict[str, Any]]) -> None:
        helpers.bulk(self.cluster, ({"_index": index, "_source": record} for record in records))

    def add_events(self, *records: dict[str, Any]) -> None:
        self.add(self.events, records)

    def create(self, **properties: Any) -> None:
        for index in (self.queries, self.events):
            body: dict[str, Any] = {"settings": {"number_of_replicas": 0}}
            self.cluster.indices.create(
                index=index, body=body | {"mappings": {"properties": properties}}
            )


@pytest.fixture
def log(cluster: OpenSearch, opensearch_url: str, index_prefix: str) -> Log:
    return Log(cluster, opensearch_url, index_prefix)


def click(document_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "action_name": "click",
        "query_id": "q1",
        "timestamp": "2025-01-02T12:00:00.000Z",
        "application": "shop",
        "event_attributes": {"object": {"object_id": document_id}, "position": {"ordinal": 1}},
    } | changes


def clicked(batches: Iterable[LogBatch]) -> list[str]:
    return [action.document_id for batch in batches for action in batch.actions]


@pytest.mark.opensearch
def test_the_sample_loads_from_a_cluster_with_its_defects_named(log: Log) -> None:
    with gzip.open(SAMPLE, "rt") as lines:
        sample = [(action["index"]["_index"], record) for action, record in _pairs(lines)]
    log.add(log.queries, (record for index, record in sample if index == "ubi_queries"))
    log.add(log.events, (record for index, record in sample if index == "ubi_events"))
    batches = log.pull()
    assert sum(len(batch.queries) for batch in batches) == 473
    assert sum(len(batch.impressions) for batch in batches) == 1999
    assert sum(len(batch.actions) for batch in batches) == 527
    defects = sum((Counter(batch.defects) for batch in batches), Counter[str]())
    assert defects["event of another action"] == 922
    assert defects["query without shown documents"] == 392
    # Chorus counts from 1 and the generated sample from 0: each is read its own way.
    assert defects["event without position"] == 0
    positions = [shown.position for batch in batches for shown in batch.impressions]
    assert min(position for position in positions if position is not None) == 1


def _pairs(lines: Iterable[str]) -> Iterator[tuple[Any, Any]]:
    records = map(json.loads, lines)
    return zip(records, records, strict=True)


@pytest.mark.opensearch
def test_a_pull_goes_on_where_the_last_ended_and_takes_late_events(log: Log) -> None:
    log.create()
    log.add_events(click("a"), click("b"))
    first = log.pull()
    assert clicked(first) == ["a", "b"]
    cursor = first[-1].cursor
    assert clicked(log.pull(cursor)) == []
    log.add_events(click("late", timestamp="2024-06-01T00:00:00Z"))
    assert clicked(log.pull(Cursor(cursor.token))) == ["late"]


@pytest.mark.opensearch
def test_a_log_made_again_is_read_from_its_start(log: Log) -> None:
    log.create()
    log.add_events(click("a"))
    cursor = log.pull()[-1].cursor
    log.cluster.indices.delete(index=log.events)
    log.add_events(click("b"))
    assert clicked(log.pull(cursor)) == ["b"]


@pytest.mark.opensearch
def test_records_before_the_window_are_left_out_but_untimed_ones_are_not(log: Log) -> None:
    log.create(**UBI_EVENTS)
    now = "2999-01-02T12:00:00.000Z"
    log.add_events(click("old"), click("new", timestamp=now), click("epoch", timestamp=32e12 // 1))
    assert sorted(clicked(log.pull(window="30d"))) == ["epoch", "new"]


@pytest.mark.opensearch
@pytest.mark.parametrize("dynamic", [True, False])
def test_an_application_is_found_by_keyword_or_dynamic_mapping(log: Log, dynamic: bool) -> None:
    log.create(**({} if dynamic else UBI_EVENTS))
    log.add_events(click("a"), click("b", application="other shop"))
    assert clicked(log.pull(application="other shop")) == ["b"]


@pytest.mark.opensearch
def test_each_application_counts_positions_its_own_way(log: Log) -> None:
    log.create()
    top = {"object": {"object_id": "x"}, "position": {"ordinal": 0}}
    log.add_events(
        click("one", application="from one"),
        click("zero", application="from zero"),
        click("x", application="from zero", event_attributes=top),
    )
    found = {action.document_id: action.position for b in log.pull() for action in b.actions}
    assert found == {"one": 1, "zero": 2, "x": 1}
    told = {action.position for b in log.pull(zero_based=False) for action in b.actions}
    assert told == {1, None}


@pytest.mark.opensearch
@pytest.mark.parametrize(
    ("kind", "written"), [("long", 1_735_819_200_000), ("keyword", "2025-01-02T12:00:00Z")]
)
def test_a_timestamp_that_is_mapped_as_no_date_is_read_as_it_is(
    log: Log, kind: str, written: object
) -> None:
    log.create(timestamp={"type": kind})
    log.add_events(click("a", timestamp=written))
    ((at,),) = ([action.at for action in batch.actions] for batch in log.pull() if batch.actions)
    assert at == datetime(2025, 1, 2, 12, tzinfo=UTC)


@pytest.mark.opensearch
def test_a_missing_log_is_named(log: Log) -> None:
    with pytest.raises(IndexMissingError, match="no such index"):
        log.pull()


@pytest.mark.opensearch
def test_an_empty_log_gives_a_cursor_and_no_events(log: Log) -> None:
    log.create()
    batches = log.pull()
    assert clicked(batches) == []
    assert clicked(log.pull(batches[-1].cursor)) == []


@pytest.mark.opensearch
@pytest.mark.parametrize("token", ["", "{}", "[]", '{"shards": {"a/0": "x"}}', '{"shards": 1}'])
def test_a_foreign_cursor_is_refused(log: Log, token: str) -> None:
    with pytest.raises(LogFormatError, match="cursor"):
        log.pull(Cursor(token))


def test_a_window_is_written_as_people_do() -> None:
    assert UbiConfig.model_validate({"window": "60d"}).window == timedelta(days=60)
    assert UbiConfig.model_validate({"window": "12h"}).window == timedelta(hours=12)
    with pytest.raises(ValidationError):
        UbiConfig.model_validate({"window": "a while"})


def test_without_a_cluster_the_next_step_is_named() -> None:
    with pytest.raises(EngineUnavailableError) as refused:
        UbiLogs.open(UbiConfig(), None)
    assert "files" in refused.value.next_step
