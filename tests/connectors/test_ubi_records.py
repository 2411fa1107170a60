"""UBI records as they are found in the wild."""

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desireline.connectors.events import Action, Impression
from desireline.connectors.ubi_records import parse_event, parse_query, parse_time

SAMPLE = Path(__file__).parent.parent / "data" / "esci_ubi" / "ubi_queries_events.ndjson.gz"
NOON = datetime(2025, 1, 2, 12, tzinfo=UTC)


def event(**changes: Any) -> dict[str, Any]:
    return {
        "action_name": "click",
        "query_id": "q1",
        "timestamp": "2025-01-02T12:00:00.000Z",
        "client_id": "c1",
        "user_query": "red shoe",
        "event_attributes": {"object": {"object_id": "d1"}, "position": {"ordinal": 3}},
    } | changes


def parsed(record: dict[str, Any], **options: Any) -> tuple[Any, dict[str, int]]:
    defects: Counter[str] = Counter()
    found = parse_event(record, defects, **{"zero_based": False} | options)
    return found, dict(+defects)


@pytest.mark.parametrize(
    "written",
    [
        "2025-01-02T12:00:00.000Z",
        "2025-01-02T12:00:00.000+0000",
        "2025-01-02T13:00:00+01:00",
        "2025-01-02T12:00:00",
        1735819200000,
        "1735819200000",
        1735819200,
    ],
)
def test_a_time_is_read_in_every_format_found(written: object) -> None:
    assert parse_time(written) == NOON


@pytest.mark.parametrize("written", [None, "", "yesterday", {}, True, "9" * 40, float("nan")])
def test_what_is_no_time_is_none(written: object) -> None:
    assert parse_time(written) is None


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_no_time_stamp_breaks_the_reader(written: object) -> None:
    found = parse_time(written)
    assert found is None or found.tzinfo is not None


def test_a_click_is_read_whole() -> None:
    found, defects = parsed(event())
    assert found == Action(
        query_id="q1",
        document_id="d1",
        kind="click",
        at=NOON,
        position=3,
        client="c1",
        text="red shoe",
    )
    assert defects == {}


@pytest.mark.parametrize(
    ("position", "zero_based", "expected"),
    [
        ({"ordinal": 1}, False, 1),
        ({"ordinal": 0}, True, 1),
        ({"ordinal": "7"}, True, 8),
        ({"ordinal": {"index": 4}}, False, 4),
        ({"index": 4}, False, 4),
        ({"ordinal": 0}, False, None),
        ({"ordinal": -1}, True, None),
        ({"x": 1, "y": 2}, False, None),
        (None, False, None),
    ],
)
def test_a_position_is_one_at_the_top(
    position: object, zero_based: bool, expected: int | None
) -> None:
    attributes = {"object": {"object_id": "d1"}, "position": position}
    found, defects = parsed(event(event_attributes=attributes), zero_based=zero_based)
    assert found.position == expected
    assert defects == ({} if expected else {"event without position": 1})


def test_a_numeric_document_id_becomes_text() -> None:
    attributes = {"object": {"object_id": 4711}, "position": {"ordinal": 1}}
    found, _ = parsed(event(event_attributes=attributes))
    assert found.document_id == "4711"


@pytest.mark.parametrize("query_id", [None, ""])
def test_an_event_without_query_id_is_kept_and_counted(query_id: object) -> None:
    found, defects = parsed(event(query_id=query_id))
    assert (found.query_id, found.text) == ("", "red shoe")
    assert defects == {"event without query id": 1}


@pytest.mark.parametrize(
    ("changes", "defect"),
    [
        ({"event_attributes": {}}, "event without document"),
        ({"event_attributes": None}, "event without document"),
        ({"timestamp": None}, "event without a time"),
        ({"action_name": "page_exit"}, "event of another action"),
    ],
)
def test_an_event_that_tells_nothing_is_left_out_and_counted(
    changes: dict[str, Any], defect: str
) -> None:
    assert parsed(event(**changes)) == (None, {defect: 1})


def test_ids_of_another_field_are_left_out() -> None:
    attributes = {"object": {"object_id": "d1", "object_id_field": "ean"}}
    found, defects = parsed(event(event_attributes=attributes), object_id_field="sku")
    assert (found, defects) == (None, {"event about another id field": 1})


def test_a_query_of_the_third_page_starts_at_position_21() -> None:
    record = {
        "query_id": "q1",
        "user_query": "red shoe",
        "timestamp": "2025-01-02T12:00:00Z",
        "client_id": "c1",
        "application": "shop",
        "query": json.dumps({"from": 20, "size": 10}),
        "query_response_hit_ids": ["d1", 2, None],
        "query_attributes": {"tenant": "a"},
    }
    defects: Counter[str] = Counter()
    query = parse_query(record, defects)
    assert query is not None
    assert (query.shown, query.first_position) == (("d1", "2"), 21)
    assert dict(query.attributes) == {"tenant": "a", "application": "shop"}
    assert +defects == Counter()


def test_a_bare_query_is_kept_and_its_lacks_counted() -> None:
    defects: Counter[str] = Counter()
    query = parse_query({"timestamp": 1735819200000, "query": "{broken"}, defects)
    assert query is not None
    assert (query.text, query.shown, query.first_position) == ("", (), 1)
    assert set(+defects) == {
        "query without query id",
        "query without text",
        "query without shown documents",
    }


def sample() -> list[dict[str, Any]]:
    with gzip.open(SAMPLE, "rt") as lines:
        return [record for line in lines if "index" not in (record := json.loads(line))]


def test_the_sample_loads_with_its_defects_counted() -> None:
    defects: Counter[str] = Counter()
    queries, events = [], []
    for record in sample():
        if "action_name" in record:
            events.append(parse_event(record, defects, zero_based=False))
        else:
            queries.append(parse_query(record, defects))
    assert len(queries) == 473
    assert sum(isinstance(found, Impression) for found in events) == 1999
    actions = Counter(found.kind for found in events if isinstance(found, Action))
    assert actions == {"click": 287, "add_to_cart": 234, "purchase": 6}
    assert defects["event of another action"] == 3448 - 1999 - 287 - 234 - 6
    assert defects["query without shown documents"] == 392
