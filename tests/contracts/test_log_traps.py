"""What real logs do to whoever reads them: every source meets every trap it can be set."""

import uuid
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest
from logs_with_traps import FIELDS, ClusterLog, LinesLog, Log, TableLog, own_shape

from desireline.connectors.events import Action, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.trainer.logs.frames import gather
from desireline.trainer.logs.shown_ids import DEFECT, without_document_numbers
from desireline.trainer.sessions import SessionConfig, Sessions, join_sessions

START = datetime(2025, 3, 3, 9, 0, tzinfo=UTC)
CLUSTER = pytest.mark.opensearch
SHOWN = ["d7", "d3", "d5"]


@pytest.fixture(
    params=[
        "ubi lines",
        "own lines",
        "lines at an address",
        "csv",
        "parquet",
        pytest.param("ubi as the plugin maps", marks=CLUSTER),
        pytest.param("ubi mapped by what came first", marks=CLUSTER),
        pytest.param("own indexes", marks=CLUSTER),
        pytest.param("ubi by its fields", marks=CLUSTER),
    ]
)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    match request.param:
        case "ubi lines":
            yield LinesLog(str(tmp_path / "log.ndjson"), shape=dict, fields=None)
        case "own lines":
            yield LinesLog(str(tmp_path / "log.ndjson"), shape=own_shape, fields=FIELDS)
        case "lines at an address":
            folder = f"/{uuid.uuid4().hex}"
            yield LinesLog(f"memory:/{folder}/log.ndjson", shape=dict, fields=None)
            fsspec.filesystem("memory").rm(folder, recursive=True)
        case "csv" | "parquet" as kind:
            yield TableLog(tmp_path, kind)
        case name:
            url = request.getfixturevalue("opensearch_url")
            cluster = ClusterLog(url, request.getfixturevalue("index_prefix"))
            yield {
                "ubi as the plugin maps": cluster.as_the_plugin_maps,
                "ubi mapped by what came first": cluster.mapped_by_what_came_first,
                "own indexes": cluster.of_its_own_shape,
                "ubi by its fields": cluster.ubi_by_its_fields,
            }[name]()
            cluster.close()


def able(log: Log, what: str) -> None:
    if what in log.unable:
        pytest.skip(f"this log cannot hold {what}")


def query(number: int, **more: Any) -> dict[str, Any]:
    return {
        "query_id": f"q{number}",
        "client_id": f"c{number}",
        "user_query": f"red shoes {number}",
        "timestamp": (START + timedelta(minutes=number)).isoformat(),
        "query_response_hit_ids": SHOWN,
        **more,
    }


def event(
    number: int, kind: str = "click", document: Any = "d3", position: Any = 2, **more: Any
) -> dict[str, Any]:
    return {
        "action_name": kind,
        "query_id": f"q{number}",
        "client_id": f"c{number}",
        "user_query": f"red shoes {number}",
        "timestamp": (START + timedelta(minutes=number, seconds=4)).isoformat(),
        "event_attributes": {
            "object": {"object_id": document},
            **({} if position is None else {"position": {"ordinal": position}}),
        },
        **more,
    }


def without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


def actions(log: Log, since: Cursor | None = None) -> list[Action]:
    return [action for batch in log.source.pull(since) for action in batch.actions]


def queries(log: Log) -> list[Query]:
    return [query for batch in log.source.pull() for query in batch.queries]


def defects(log: Log) -> dict[str, int]:
    return gather(log.source.pull()).defects


def sessions(log: Log, known: Collection[str] = SHOWN) -> Sessions:
    def among(ids: Sequence[str]) -> set[str]:
        return set(ids) & set(known)

    frames = without_document_numbers(gather(log.source.pull()), among)
    return join_sessions(frames, SessionConfig(min_clients=1))


def rows(found: Sessions) -> list[tuple[Any, ...]]:
    """Return (query_id, document_id, position, shown, clicked), sorted."""
    wanted = found.frame.select("query_id", "document_id", "position", "shown", "clicked")
    return sorted(wanted.iter_rows())


def test_a_log_without_traps_is_joined_whole(log: Log) -> None:
    log.write(query(1), event(1))
    assert rows(sessions(log)) == [
        ("q1", "d3", 2, True, True),
        ("q1", "d5", 3, True, False),
        ("q1", "d7", 1, True, False),
    ]


def test_a_long_text_is_read_whole_though_it_is_not_indexed(log: Log) -> None:
    """Keywords beyond `ignore_above` are in no index, only in the record."""
    text = "shoes " * 100
    log.write(query(1, user_query=text.strip()))
    assert [found.text for found in queries(log)] == [text.strip()]


def test_an_ordinal_may_be_an_object_with_an_index(log: Log) -> None:
    for unable in ("another shape of position", "object in a cell"):
        able(log, unable)
    log.write(query(1), event(1, position={"index": 2}), event(1, "purchase", "d5", {"index": 3}))
    assert sorted(action.position or 0 for action in actions(log)) == [2, 3]


def test_positions_are_counted_from_one_where_no_zero_is_met(log: Log) -> None:
    log.write(query(1), event(1, position=1), event(2, position=3))
    assert sorted(action.position or 0 for action in actions(log)) == [1, 3]


def test_positions_are_counted_from_zero_where_one_is_met(log: Log) -> None:
    log.write(query(1), event(1, position=0), event(2, position=3))
    assert sorted(action.position or 0 for action in actions(log)) == [1, 4]


def test_an_object_with_an_index_may_count_from_zero(log: Log) -> None:
    for unable in ("another shape of position", "object in a cell"):
        able(log, unable)
    log.write(event(1, position={"index": 0}), event(2, position={"index": 3}))
    assert sorted(action.position or 0 for action in actions(log)) == [1, 4]


def test_the_page_is_read_from_the_stored_request(log: Log) -> None:
    request = '{"from": 20, "size": 3, "query": {"match": {"title": "red shoes"}}}'
    log.write(query(1, query=request), query(2, query="not json"), event(1, position=None))
    first = {found.query_id: found.first_position for found in queries(log)}
    assert first == {"q1": 21, "q2": 1}
    assert ("q1", "d3", 22, True, True) in rows(sessions(log))


def test_a_search_without_its_hits_still_has_its_clicks(log: Log) -> None:
    log.write(without(query(1), "query_response_hit_ids"), event(1))
    assert rows(sessions(log)) == [("q1", "d3", 2, False, True)]
    assert defects(log)["query without shown documents"] == 1


def test_lucene_numbers_that_are_no_documents_are_reported_and_not_believed(log: Log) -> None:
    log.write(
        query(1, query_response_hit_ids=["17", "0", "4"]),
        query(2, query_response_hit_ids=["5", "17"]),
        event(1),
    )
    found = sessions(log)
    assert found.health.defects[DEFECT] == 2
    assert rows(found) == [("q1", "d3", 2, False, True)]


def test_numbers_that_are_documents_are_believed(log: Log) -> None:
    log.write(query(1, query_response_hit_ids=["17", "4"]), event(1, document="4"))
    found = sessions(log, known=["17", "4"])
    assert DEFECT not in found.health.defects
    assert rows(found) == [("q1", "17", 1, True, False), ("q1", "4", 2, True, True)]


def test_lucene_numbers_that_look_like_documents_are_told_by_the_clicks(log: Log) -> None:
    """Where ids are numbers too, they name documents, but never those that were clicked."""
    numbers = [str(number) for number in range(100)]
    log.write(
        *(query(n, query_response_hit_ids=[str(n % 7), str(50 + n % 9)]) for n in range(30)),
        *(event(n, document=str(20 + n % 5)) for n in range(30)),
    )
    found = sessions(log, known=numbers)
    assert found.health.defects[DEFECT] == 30
    assert not found.frame.get_column("shown").any()


def test_numeric_ids_become_text(log: Log) -> None:
    log.write(
        query(1, query_response_hit_ids=[70, 30]) | {"client_id": 12},
        event(1, document=30) | {"client_id": 12},
    )
    (found,), (clicked,) = queries(log), actions(log)
    assert (found.client, found.shown) == ("12", ("70", "30"))
    assert (clicked.client, clicked.document_id) == ("12", "30")


def test_events_without_a_query_id_are_joined_by_their_text(log: Log) -> None:
    log.write(without(event(1), "query_id"), without(event(2), "query_id", "user_query"))
    found = sessions(log)
    assert found.frame.get_column("query").to_list() == ["red shoes 1"]
    assert defects(log)["event without query id"] == 2


def test_a_query_without_an_id_is_counted_and_left_out(log: Log) -> None:
    log.write(without(query(1), "query_id"), query(2))
    assert {row[0] for row in rows(sessions(log))} == {"q2"}
    assert defects(log)["query without query id"] == 1


def test_a_query_without_text_is_counted_and_left_out(log: Log) -> None:
    log.write(query(1) | {"user_query": ""}, query(2))
    assert {row[0] for row in rows(sessions(log))} == {"q2"}
    assert defects(log)["query without text"] == 1


def test_an_event_without_text_is_joined_by_its_query_id(log: Log) -> None:
    log.write(query(1), without(event(1), "user_query"))
    assert ("q1", "d3", 2, True, True) in rows(sessions(log))


def test_an_event_that_was_sent_twice_counts_once(log: Log) -> None:
    log.write(query(1), query(1), event(1), event(1), event(1, "impression"))
    found = sessions(log)
    assert found.health.clicks == 1
    assert found.health.defects["duplicate events"] == 2
    assert found.frame.height == len(SHOWN)


def test_an_event_that_comes_days_late_is_read_once_and_joined(log: Log) -> None:
    log.write(query(1), query(2), event(2, timestamp=(START + timedelta(days=3)).isoformat()))
    batches = list(log.source.pull())
    late = event(1)
    log.write(late)
    news = list(log.source.pull(batches[-1].cursor))
    assert [action.query_id for batch in news for action in batch.actions] == ["q1"]
    joined = join_sessions(gather([*batches, *news]), SessionConfig(min_clients=1))
    assert ("q1", "d3", 2, True, True) in rows(joined)
    assert actions(log, news[-1].cursor) == []


@pytest.mark.parametrize("skew", [timedelta(hours=-5), timedelta(days=400)])
def test_a_clock_that_is_wrong_changes_no_join(log: Log, skew: timedelta) -> None:
    """A browser's clock stamps the click, a server's the search."""
    at = START + skew
    log.write(query(1), event(1, timestamp=at.isoformat()))
    assert [action.at for action in actions(log)] == [at]
    assert ("q1", "d3", 2, True, True) in rows(sessions(log))


@pytest.mark.parametrize(
    "written", ["2025-03-03T09:00:00.123+0000", "2025-03-03T09:00:00.123Z", 1_740_992_400_123]
)
def test_times_are_read_as_plugins_write_them(log: Log, written: Any) -> None:
    log.write(query(1, timestamp=written))
    at = datetime(2025, 3, 3, 9, 0, 0, 123_000, tzinfo=UTC)
    assert [found.at for found in queries(log)] == [at]


def test_every_batch_of_a_pull_can_be_gone_on_from(log: Log) -> None:
    log.write(*(query(n) for n in range(20)), *(event(n) for n in range(20)))
    batches: list[LogBatch] = list(log.source.pull())
    for number, batch in enumerate(batches):
        before = [action for each in batches[: number + 1] for action in each.actions]
        after = actions(log, batch.cursor)
        names = sorted(action.query_id for action in (*before, *after))
        assert names == sorted(f"q{n}" for n in range(20))
