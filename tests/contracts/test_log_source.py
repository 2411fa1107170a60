"""What every click log must do: whole, once, from where the last pull stopped."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import orjson
import pytest
from opensearchpy import OpenSearch

from desireline.connectors.errors import LogFormatError
from desireline.connectors.events import Action, Impression, Query
from desireline.connectors.log_source import Cursor, LogBatch, LogSource
from desireline.connectors.logs.files import FileLogs, FileLogsConfig
from desireline.connectors.logs.ubi import UbiConfig, UbiLogs
from desireline.connectors.opensearch_client import OpenSearchSettings

START = datetime(2025, 3, 3, 9, 0, tzinfo=UTC)


class Log(Protocol):
    """A log that an application writes and a source that reads it."""

    source: LogSource

    def write(self, *records: Mapping[str, Any]) -> None:
        """Append UBI records."""


class FileLog:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.source: LogSource = FileLogs(FileLogsConfig(path=str(path), batch_size=100))

    def write(self, *records: Mapping[str, Any]) -> None:
        with self._path.open("ab") as file:
            for record in records:
                index = "ubi_events" if "action_name" in record else "ubi_queries"
                file.write(orjson.dumps({"index": {"_index": index}}) + b"\n")
                file.write(orjson.dumps(record) + b"\n")


class ClusterLog:
    def __init__(self, url: str, prefix: str) -> None:
        self._client = OpenSearch(url, timeout=30)
        self._prefix = prefix
        mapping = {"mappings": {"properties": {"timestamp": {"type": "date"}}}}
        for name in ("ubi_queries", "ubi_events"):
            self._client.indices.create(index=prefix + name, body=mapping)
        config = UbiConfig(
            queries_index=f"{prefix}ubi_queries",
            events_index=f"{prefix}ubi_events",
            window=timedelta(days=10_000),
        )
        self.source: LogSource = UbiLogs.open(config, OpenSearchSettings(url=url))

    def write(self, *records: Mapping[str, Any]) -> None:
        lines: list[Mapping[str, Any]] = []
        for record in records:
            index = "ubi_events" if "action_name" in record else "ubi_queries"
            lines += [{"index": {"_index": self._prefix + index}}, record]
        assert not self._client.bulk(body=lines)["errors"]


@pytest.fixture(params=["files", pytest.param("ubi", marks=pytest.mark.opensearch)])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Log:
    if request.param == "files":
        return FileLog(tmp_path / "clicks.ndjson")
    url = request.getfixturevalue("opensearch_url")
    return ClusterLog(url, request.getfixturevalue("index_prefix"))


def query(number: int, **more: Any) -> dict[str, Any]:
    return {
        "query_id": f"q{number}",
        "client_id": f"c{number % 3}",
        "user_query": f"red shoes {number}",
        "timestamp": (START + timedelta(minutes=number)).isoformat(),
        "query_response_hit_ids": ["d7", "d3"],
        **more,
    }


def event(number: int, kind: str = "click", position: int | None = 2) -> dict[str, Any]:
    return {
        "action_name": kind,
        "query_id": f"q{number}",
        "client_id": f"c{number % 3}",
        "user_query": f"red shoes {number}",
        "timestamp": (START + timedelta(minutes=number, seconds=4)).isoformat(),
        "event_attributes": {
            "object": {"object_id": "d3"},
            **({} if position is None else {"position": {"ordinal": position}}),
        },
    }


def pulled(log: Log, since: Cursor | None = None) -> LogBatch:
    """Pull to the end and put the batches together."""
    batches = list(log.source.pull(since))
    cursor = batches[-1].cursor if batches else since
    assert cursor is not None
    defects: dict[str, int] = {}
    for batch in batches:
        for name, count in batch.defects.items():
            defects[name] = defects.get(name, 0) + count
    return LogBatch(
        cursor=cursor,
        queries=tuple(query for batch in batches for query in batch.queries),
        impressions=tuple(event for batch in batches for event in batch.impressions),
        actions=tuple(event for batch in batches for event in batch.actions),
        defects=defects,
    )


def test_queries_impressions_and_actions_are_read_whole(log: Log) -> None:
    log.write(query(1), event(1, "impression", 1), event(1, "click", 2))
    batch = pulled(log)
    assert batch.queries == (
        Query(
            query_id="q1",
            text="red shoes 1",
            at=START + timedelta(minutes=1),
            client="c1",
            shown=("d7", "d3"),
        ),
    )
    at = START + timedelta(minutes=1, seconds=4)
    assert batch.impressions == (
        Impression(query_id="q1", document_id="d3", position=1, at=at, client="c1"),
    )
    assert batch.actions == (
        Action(
            query_id="q1",
            document_id="d3",
            kind="click",
            at=at,
            position=2,
            client="c1",
            text="red shoes 1",
        ),
    )
    assert batch.defects == {}


def test_a_pull_goes_on_where_the_last_one_stopped(log: Log) -> None:
    log.write(*(query(number) for number in range(10)), *(event(number) for number in range(10)))
    first = pulled(log)
    assert (len(first.queries), len(first.actions)) == (10, 10)
    assert pulled(log, first.cursor).queries == ()
    log.write(query(11), event(11), event(2, "purchase"))
    second = pulled(log, first.cursor)
    assert [query.query_id for query in second.queries] == ["q11"]
    assert sorted(action.kind for action in second.actions) == ["click", "purchase"]
    third = pulled(log, second.cursor)
    assert third.queries == third.actions == third.impressions == ()


def test_a_pull_that_was_broken_off_goes_on_from_its_last_safe_batch(log: Log) -> None:
    log.write(*(query(number) for number in range(350)), *(event(number) for number in range(350)))
    pull = log.source.pull()
    safe = next(pull)
    del pull
    rest = pulled(log, safe.cursor)
    queries = [query.query_id for query in (*safe.queries, *rest.queries)]
    actions = [action.query_id for action in (*safe.actions, *rest.actions)]
    wanted = sorted(f"q{number}" for number in range(350))
    assert sorted(queries) == sorted(actions) == wanted


def test_without_a_cursor_everything_is_read_again(log: Log) -> None:
    log.write(query(1), event(1))
    assert pulled(log).queries == pulled(log).queries
    assert len(pulled(log).actions) == 1


def test_the_cursor_is_text_that_survives_a_restart(log: Log) -> None:
    log.write(query(1))
    cursor = Cursor(str(pulled(log).cursor.token))
    log.write(query(2))
    assert [query.query_id for query in pulled(log, cursor).queries] == ["q2"]


def test_a_foreign_cursor_is_refused(log: Log) -> None:
    log.write(query(1))
    for token in ("", "x", "{}", "[1]", '{"files": 3, "shards": 4}'):
        with pytest.raises(LogFormatError):
            list(log.source.pull(Cursor(token)))


def test_defects_are_counted_by_name_and_the_rest_is_read(log: Log) -> None:
    log.write(
        query(1),
        query(2, user_query="", query_response_hit_ids=[]),
        event(1, position=None),
        event(1, "login"),
        event(1) | {"query_id": None},
        event(1) | {"event_attributes": {}},
    )
    batch = pulled(log)
    assert len(batch.queries) == 2
    assert len(batch.actions) == 2
    assert batch.defects == {
        "query without text": 1,
        "query without shown documents": 1,
        "event without position": 1,
        "event of another action": 1,
        "event without query id": 1,
        "event without document": 1,
    }


def test_positions_counted_from_zero_are_told_by_the_first_zero(log: Log) -> None:
    log.write(query(1), event(1, position=3), event(1, "impression", 0))
    batch = pulled(log)
    assert [action.position for action in batch.actions] == [4]
    assert [impression.position for impression in batch.impressions] == [1]


def test_unicode_comes_through(log: Log) -> None:
    log.write(query(1, user_query="ключ 東京 🗼", query_response_hit_ids=["日本/1"]))
    (found,) = pulled(log).queries
    assert found.text == "ключ 東京 🗼"
    assert found.shown == ("日本/1",)
