"""Simulated searches and clicks as UBI records, in the lines that ``POST _bulk`` takes.

The ``files`` log source reads the same lines from disk. Every record names the application
"simulation", so that nobody takes these clicks for real ones.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from desireline.connectors.events import Action, Query
from desireline.connectors.log_source import LogBatch

APPLICATION = "simulation"
QUERIES = "ubi_queries"
EVENTS = "ubi_events"


def bulk_lines(batch: LogBatch, *, prefix: str = "") -> Iterator[bytes]:
    """Yield an action line and a record for each query and action; indexes get the prefix."""
    yield from _lines(f"{prefix}{QUERIES}", ((q.query_id, query_record(q)) for q in batch.queries))
    numbered = (
        (f"{action.query_id}-{number}", event_record(action))
        for number, action in enumerate(batch.actions)
    )
    yield from _lines(f"{prefix}{EVENTS}", numbered)


def query_record(query: Query) -> dict[str, Any]:
    """Return one ``ubi_queries`` record."""
    return {
        "application": APPLICATION,
        "query_id": query.query_id,
        "client_id": query.client,
        "user_query": query.text,
        "timestamp": query.at.isoformat(),
        "query_response_hit_ids": list(query.shown),
    }


def event_record(action: Action) -> dict[str, Any]:
    """Return one ``ubi_events`` record."""
    return {
        "application": APPLICATION,
        "action_name": action.kind,
        "query_id": action.query_id,
        "client_id": action.client,
        "user_query": action.text,
        "timestamp": action.at.isoformat(),
        "event_attributes": {
            "object": {"object_id": action.document_id},
            "position": {"ordinal": action.position},
        },
    }


def _lines(index: str, records: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[bytes]:
    for key, record in records:
        yield orjson.dumps({"index": {"_index": index, "_id": key}}) + b"\n"
        yield orjson.dumps(record) + b"\n"
