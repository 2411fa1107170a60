"""Simulated searches and clicks as UBI records, in the lines that ``POST _bulk`` takes.

The ``files`` log source reads the same lines from disk. Every record names the application
"simulation", so that nobody takes these clicks for real ones.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import orjson

from desireline.connectors.events import Action, Impression, Query
from desireline.connectors.log_source import LogBatch

APPLICATION = "simulation"
QUERIES = "ubi_queries"
EVENTS = "ubi_events"
#: Releases of the specification differ in how an event says its position.
Spec = Literal["1.2", "1.3"]


def bulk_lines(
    batch: LogBatch, *, prefix: str = "", spec: Spec = "1.3", part: str = ""
) -> Iterator[bytes]:
    """Yield an action line and a record for each search and event; indexes get the prefix.

    Args:
        batch: what is written.
        prefix: before the names of both indexes.
        spec: of UBI.
        part: name of this batch, from which records get ids of their own; needed where a search
            can occur twice or its events in several batches. Without it ids come from query_ids.

    """
    queries = (
        (f"{part}-q{number}" if part else query.query_id, query_record(query))
        for number, query in enumerate(batch.queries)
    )
    yield from _lines(f"{prefix}{QUERIES}", queries)
    events: tuple[Action | Impression, ...] = (*batch.actions, *batch.impressions)
    numbered = (
        (f"{part}-e{number}" if part else f"{event.query_id}-{number}", event_record(event, spec))
        for number, event in enumerate(events)
    )
    yield from _lines(f"{prefix}{EVENTS}", numbered)


def query_record(query: Query) -> dict[str, Any]:
    """Return one ``ubi_queries`` record."""
    attributes = {"query_attributes": dict(query.attributes)} if query.attributes else {}
    return {
        "application": APPLICATION,
        "query_id": query.query_id,
        "client_id": query.client,
        "user_query": query.text,
        "timestamp": query.at.isoformat(),
        "query_response_hit_ids": list(query.shown),
        **attributes,
    }


def event_record(event: Action | Impression, spec: Spec = "1.3") -> dict[str, Any]:
    """Return one ``ubi_events`` record."""
    return {
        "application": APPLICATION,
        "action_name": event.kind if isinstance(event, Action) else "impression",
        "query_id": event.query_id,
        "client_id": event.client,
        **({"user_query": event.text} if isinstance(event, Action) else {}),
        "timestamp": event.at.isoformat(),
        "event_attributes": {
            "object": {"object_id": event.document_id},
            "position": _position(event.position, spec),
        },
    }


def _position(position: int | None, spec: Spec) -> dict[str, Any]:
    if spec == "1.2":
        return {} if position is None else {"ordinal": {"index": position}}
    return {"ordinal": position}


def _lines(index: str, records: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[bytes]:
    for key, record in records:
        yield orjson.dumps({"index": {"_index": index, "_id": key}}) + b"\n"
        yield orjson.dumps(record) + b"\n"
