"""User Behavior Insights records as JSON objects, turned into our values.

The schema is that of ``ubi_queries`` and ``ubi_events`` (UBI 1.0 to 1.3); real logs bend it,
and what is bent is read where that is safe and counted by name where it is not.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import orjson

from desireline.connectors.events import Action, Impression, Query

#: What users do with a document, by the names UBI gives; other events are passed over.
DOCUMENT_ACTIONS = ("click", "add_to_cart", "purchase")
_IMPRESSION = "impression"
#: Epoch numbers below this are seconds, above it milliseconds (the year 5138 in seconds).
_FIRST_MILLISECONDS = 100_000_000_000


def parse_query(record: Mapping[str, Any], defects: Counter[str]) -> Query | None:
    """Return the query of one ``ubi_queries`` record, or None (counted) where it has no time.

    Ids of shown documents become text; `first_position` follows the paging of the stored
    request.
    """
    at = parse_time(record.get("timestamp"))
    if at is None:
        defects["query without a time"] += 1
        return None
    query_id, text = _text(record.get("query_id")), _text(record.get("user_query"))
    shown = _shown(record)
    defects["query without query id"] += not query_id
    defects["query without text"] += not text
    defects["query without shown documents"] += not shown
    return Query(
        query_id=query_id,
        text=text,
        at=at,
        client=_text(record.get("client_id")),
        shown=shown,
        first_position=page_offset(record.get("query")) + 1,
        attributes=_attributes(record),
    )


def parse_event(
    record: Mapping[str, Any],
    defects: Counter[str],
    *,
    zero_based: bool,
    actions: Collection[str] = DOCUMENT_ACTIONS,
    object_id_field: str = "",
) -> Impression | Action | None:
    """Return what one ``ubi_events`` record tells about a document, or None (counted).

    An event without query id is kept with the id "" and counted: its text may still join it.

    Args:
        record: the event.
        defects: counts by name, added to.
        zero_based: whether position 0 is the top in this log.
        actions: names of the actions that are kept, besides impressions.
        object_id_field: where given, events about ids of another field are left out.

    """
    kind = _text(record.get("action_name"))
    if kind != _IMPRESSION and kind not in actions:
        defects["event of another action"] += 1
        return None
    at = parse_time(record.get("timestamp"))
    attributes = _inner(record, "event_attributes")
    document_id = _document_id(attributes, object_id_field)
    missing = _missing(at, document_id)
    if at is None or document_id is None or missing:
        defects[missing] += 1
        return None
    query_id = _text(record.get("query_id"))
    if not query_id:
        defects["event without query id"] += 1
    position = _position(attributes, zero_based=zero_based)
    if position is None:
        defects["event without position"] += 1
    client = _text(record.get("client_id"))
    if kind == _IMPRESSION:
        return Impression(
            query_id=query_id, document_id=document_id, position=position, at=at, client=client
        )
    return Action(
        query_id=query_id,
        document_id=document_id,
        kind=kind,
        at=at,
        position=position,
        client=client,
        text=_text(record.get("user_query")),
    )


def ordinal(record: Mapping[str, Any]) -> int | None:
    """Return the position as the log counts it: ``ordinal``, or ``index`` of UBI 1.2."""
    return _ordinal(_inner(record, "event_attributes"))


def application(record: Mapping[str, Any]) -> str:
    """Return the name of the application that sent the record; applications count their own way."""
    return _text(record.get("application"))


def page_offset(request: object) -> int:
    """Return ``from`` of a search request, which logs keep as JSON text; 0 without one."""
    if isinstance(request, str):
        try:
            request = orjson.loads(request)
        except orjson.JSONDecodeError:
            return 0
    return max(0, _whole(request.get("from")) or 0) if isinstance(request, Mapping) else 0


def parse_time(value: object) -> datetime | None:
    """Read ISO 8601 text or an epoch number (seconds or milliseconds); UTC where it is silent."""
    try:
        # Nearly all are ISO: whether such a text is a number need not be tried.
        if isinstance(value, str) and value[4:5] == "-":
            at = datetime.fromisoformat(value.strip())
            return at if at.tzinfo else at.replace(tzinfo=UTC)
        number = _whole(value)
        if number is not None:
            seconds = number / 1000 if abs(number) >= _FIRST_MILLISECONDS else number
            return datetime.fromtimestamp(seconds, UTC)
        at = datetime.fromisoformat(_text(value))
    except (ValueError, OverflowError, OSError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _missing(at: datetime | None, document_id: str | None) -> str:
    if at is None:
        return "event without a time"
    if document_id is None:
        return "event about another id field"
    return "" if document_id else "event without document"


def _document_id(attributes: Mapping[str, Any], object_id_field: str) -> str | None:
    """Return the id, "" where there is none, None where it is an id of another field."""
    subject = _inner(attributes, "object")
    if object_id_field:
        field = _text(subject.get("object_id_field"))
        if field and field != object_id_field:
            return None
    return _text(subject.get("object_id"))


def _ordinal(attributes: Mapping[str, Any]) -> int | None:
    position = _inner(attributes, "position")
    value = position.get("ordinal")
    if value is None and "ordinal" not in position:
        value = position.get("index")
    if isinstance(value, dict):
        value = value.get("index")
    return _whole(value)


def _position(attributes: Mapping[str, Any], *, zero_based: bool) -> int | None:
    counted = _ordinal(attributes)
    if counted is None:
        return None
    position = counted + 1 if zero_based else counted
    return position if position >= 1 else None


def _shown(record: Mapping[str, Any]) -> tuple[str, ...]:
    ids = record.get("query_response_hit_ids") or record.get("query_response_object_ids") or ()
    if isinstance(ids, str | int):
        ids = (ids,)
    return tuple(filter(None, map(_text, ids)))


def _attributes(record: Mapping[str, Any]) -> Mapping[str, str]:
    attributes = {key: _text(value) for key, value in _inner(record, "query_attributes").items()}
    if name := application(record):
        attributes["application"] = name
    return MappingProxyType(attributes)


def _inner(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def _whole(value: object) -> int | None:
    """Return a whole number written as number or text; None for all else."""
    if type(value) is int:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
        return int(number) if number == int(number) else None
    except (ValueError, OverflowError):
        return None


def _text(value: object) -> str:
    """Return a name or id as text: numeric ids happen; nothing is ""."""
    if isinstance(value, str):
        return value.strip()
    if value is None or isinstance(value, dict | list):
        return ""
    return str(value).strip()
