"""Bulk requests: how they are cut, and what each answer means."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson

from desireline.connectors.documents import (
    Document,
    EmbeddingWrite,
    Outcome,
    Stamp,
    Vector,
    Version,
    WriteResult,
)
from desireline.connectors.errors import EngineBusyError, IndexMissingError, PermissionDeniedError
from desireline.connectors.opensearch_client import Cluster, path
from desireline.connectors.opensearch_errors import blocked, cause

#: A body no larger than this crosses every proxy known to us and spares the node's memory.
_LARGEST_BODY = 5_000_000
_MOST_LINES = 1_000
#: Only this much of the answer is needed; without it half the traffic is echo.
_ANSWER = "errors,items.*.status,items.*.error"
_NONE: Mapping[str, str] = MappingProxyType({})
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One action of a bulk request, as it goes over the wire."""

    document_id: str
    body: bytes


def embedding_line(slot: str, write: EmbeddingWrite) -> Line:
    """Set the vector and the stamp, if the document is still as it was read.

    Without a vector the slot is set to null: an older vector must not stay.
    """
    document = {slot: plain_numbers(write.vector), f"{slot}_stamp": stamp_object(write.stamp)}
    return _update(write.document_id, write.version, write.routing, document)


def clearing_line(slot: str, document: Document) -> Line:
    """Remove the vector and the stamp, if the document is still as it was read."""
    version = document.version or Version(seq_no=-1, primary_term=-1)
    empty = {slot: None, f"{slot}_stamp": None}
    return _update(document.document_id, version, document.routing, empty)


def index_line(document: Document) -> Line:
    """Write a whole document, as an application does."""
    action = {"_id": document.document_id}
    if document.routing is not None:
        action["routing"] = document.routing
    body = orjson.dumps({"index": action}, option=_OPTIONS)
    return Line(
        document_id=document.document_id,
        body=body + orjson.dumps(dict(document.fields), option=_OPTIONS),
    )


def delete_line(document_id: str) -> Line:
    """Delete a document."""
    return Line(
        document_id=document_id,
        body=orjson.dumps({"delete": {"_id": document_id}}, option=_OPTIONS),
    )


def _update(
    document_id: str, version: Version, routing: str | None, changes: Mapping[str, object]
) -> Line:
    action: dict[str, Any] = {
        "_id": document_id,
        "if_seq_no": version.seq_no,
        "if_primary_term": version.primary_term,
    }
    if routing is not None:
        action["routing"] = routing
    head = orjson.dumps({"update": action}, option=_OPTIONS)
    nested: dict[str, object] = {}
    for name, value in changes.items():
        _put(nested, name.split("."), value)
    return Line(document_id=document_id, body=head + orjson.dumps({"doc": nested}, option=_OPTIONS))


def _put(into: dict[str, Any], names: list[str], value: object) -> None:
    """Set a dotted path as objects within objects: a partial update merges only those."""
    for name in names[:-1]:
        into = into.setdefault(name, {})
    into[names[-1]] = value


def plain_numbers(vector: Vector | None) -> Vector | None:
    """Return a vector as the serialiser takes it."""
    return None if vector is None else np.ascontiguousarray(vector, dtype=np.float32)


def stamp_object(stamp: Stamp) -> dict[str, object]:
    """Return a stamp as it stands in a document."""
    return {
        "generation": stamp.generation,
        "digest": stamp.digest,
        "fencing": stamp.fencing,
        "check": stamp.check,
    }


def send(
    cluster: Cluster, index: str, lines: Iterable[Line], params: Mapping[str, str] = _NONE
) -> Iterator[WriteResult]:
    """Send the lines in requests of bounded size and yield what became of each, in order.

    Ingest pipelines, default and final, run on whole documents only: a partial update in a
    bulk request passes them by, unlike one sent to ``_update``.

    Raises:
        WriteBlockedError, PermissionDeniedError, IndexMissingError: no line can be written,
            now or by trying again; the rest was not sent.

    """
    for batch in _cut(lines):
        yield from _send(cluster, index, batch, params)


def _cut(lines: Iterable[Line]) -> Iterator[list[Line]]:
    batch: list[Line] = []
    size = 0
    for line in lines:
        if batch and (size + len(line.body) > _LARGEST_BODY or len(batch) == _MOST_LINES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line.body)
    if batch:
        yield batch


def _send(
    cluster: Cluster, index: str, lines: Sequence[Line], params: Mapping[str, str]
) -> list[WriteResult]:
    body = b"".join(line.body for line in lines)
    try:
        answer = cluster.call(
            "POST", path(index, "_bulk"), params={"filter_path": _ANSWER, **params}, body=body
        )
    except EngineBusyError as busy:
        return [_result(line, Outcome.THROTTLED, str(busy)) for line in lines]
    items = answer["items"]
    return [
        _read(line, next(iter(item.values())), f"{cluster.url}/{index}")
        for line, item in zip(lines, items, strict=True)
    ]


def _read(line: Line, item: Mapping[str, Any], place: str) -> WriteResult:
    status = int(item["status"])
    kind, reason = cause(item) if "error" in item else ("", "")
    if kind == "cluster_block_exception":
        raise blocked(reason, place)
    if kind in {"index_not_found_exception", "invalid_index_name_exception"}:
        raise IndexMissingError(f"{place}: {reason}", next_step="see who deleted the index")
    if status in {401, 403}:
        raise PermissionDeniedError(
            f"{place} takes no writes from this user: {reason}",
            next_step="give the user the missing permission named above",
        )
    return _result(line, _outcome(status), reason)


def _outcome(status: int) -> Outcome:
    """Return what an item's status means; trying a server error again is safe."""
    match status:
        case 200 | 201:
            return Outcome.WRITTEN
        case 404:
            return Outcome.GONE
        case 409:
            return Outcome.CHANGED
        case _ if status == 429 or status >= 500:  # noqa: PLR2004 - HTTP's own numbers
            return Outcome.THROTTLED
        case _:
            return Outcome.REJECTED


def _result(line: Line, outcome: Outcome, reason: str) -> WriteResult:
    return WriteResult(document_id=line.document_id, outcome=outcome, reason=reason)
