"""Records of any shape read as events, by saying which field holds what."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from desireline.connectors.engines.source import look_up
from desireline.connectors.events import Action, Event, Impression, Query
from desireline.connectors.ubi_records import page_offset, parse_time


class FieldMap(BaseModel):
    """Which field of a record holds what; `a.b` reaches into the object `a`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str = Field(default="type", description="query, impression, or the kind of an action.")
    query_id: str = Field(default="query_id", description="Joins a query and what followed.")
    text: str = Field(default="text", description="What the user typed.")
    at: str = Field(default="at", description="ISO 8601, or seconds or milliseconds since 1970.")
    client: str = Field(default="client", description="Who it was: a session or a user.")
    shown: str = Field(default="shown", description="Ids of the documents shown, best first.")
    first_position: str = Field(
        default="first_position", description="Position of the first of `shown`."
    )
    request: str = Field(
        default="request",
        description="The search request as it was sent; its `from` says on which page `shown` is,"
        " where `first_position` does not.",
    )
    document_id: str = Field(default="document_id", description="The document acted upon.")
    position: str = Field(default="position", description="Where the document was shown.")


def event_of(
    record: Mapping[str, Any],
    fields: FieldMap,
    kind: str,
    defects: Counter[str],
    *,
    zero_based: bool,
) -> Event | None:
    """Return the event of a record, or None (counted) where it lacks what it cannot do without."""
    at = _time(look_up(record, fields.at))
    what = "query" if kind == "query" else "event"
    query_id = _text(look_up(record, fields.query_id))
    defects[f"{what} without query id"] += not query_id
    if at is None:
        defects[f"{what} without a time"] += 1
        return None
    if kind == "query":
        return _query(record, fields, defects, query_id=query_id, at=at, zero_based=zero_based)
    return _about_document(
        record, fields, kind, defects, query_id=query_id, at=at, zero_based=zero_based
    )


def _query(
    record: Mapping[str, Any],
    fields: FieldMap,
    defects: Counter[str],
    *,
    query_id: str,
    at: datetime,
    zero_based: bool,
) -> Query:
    text, shown = _text(look_up(record, fields.text)), _ids(look_up(record, fields.shown))
    first = _position(look_up(record, fields.first_position), zero_based=zero_based)
    offset = page_offset(look_up(record, fields.request))
    defects["query without text"] += not text
    defects["query without shown documents"] += not shown
    return Query(
        query_id=query_id,
        text=text,
        at=at,
        client=_text(look_up(record, fields.client)),
        shown=shown,
        first_position=first or offset + 1,
    )


def _about_document(
    record: Mapping[str, Any],
    fields: FieldMap,
    kind: str,
    defects: Counter[str],
    *,
    query_id: str,
    at: datetime,
    zero_based: bool,
) -> Impression | Action | None:
    document_id = _text(look_up(record, fields.document_id))
    position = _position(look_up(record, fields.position), zero_based=zero_based)
    client = _text(look_up(record, fields.client))
    if not document_id:
        defects["event without document"] += 1
        return None
    defects["event without position"] += position is None
    if kind == "impression":
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
        text=_text(look_up(record, fields.text)),
    )


def counted_position(value: object) -> int | None:
    """Return a position as the log counts it, a number or `{index}`; None where there is none."""
    if isinstance(value, Mapping):
        value = value.get("index")
    try:
        number = float(value) if isinstance(value, int | float | str) else float("nan")
    except ValueError:
        return None
    return int(number) if number.is_integer() else None


def _position(value: object, *, zero_based: bool) -> int | None:
    counted = counted_position(value)
    if counted is None:
        return None
    position = counted + zero_based
    return position if position >= 1 else None


def _time(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return parse_time(value)


def _text(value: object) -> str:
    if value is None or isinstance(value, Mapping | list):
        return ""
    return str(value).strip()


def _ids(value: object) -> tuple[str, ...]:
    """Read a list, a list as JSON text, or ids with | between them, as CSV cells hold them."""
    if isinstance(value, str):
        if value.startswith("["):
            try:
                value = orjson.loads(value)
            except orjson.JSONDecodeError:
                return ()
        else:
            value = value.split("|")
    items = value if isinstance(value, list | tuple) else ()
    return tuple(filter(None, map(_text, items)))
