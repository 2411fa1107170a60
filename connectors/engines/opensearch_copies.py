"""Whole documents of a cluster: how they are read, and the lines that write them elsewhere."""

from collections.abc import Mapping
from typing import Any

import orjson

from desireline.connectors.documents import EmbeddingWrite
from desireline.connectors.engines.opensearch_bulk import Line, plain_numbers, stamp_object
from desireline.connectors.engines.opensearch_documents import read_stamp
from desireline.connectors.generation_indexes import CopyDelete, CopyWrite, WholeDocument
from desireline.connectors.search_engine import Slot

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE


def copy_line(slot: str, write: CopyWrite) -> Line:
    """Write the whole document with its vector and stamp, over the same or a lower version."""
    document: dict[str, object] = dict(write.source)
    if write.vector is not None:
        document[slot] = plain_numbers(write.vector)
    if write.stamp is not None:
        document[f"{slot}_stamp"] = stamp_object(write.stamp)
    head = _head("index", write.document_id, write.routing, write.version)
    return Line(document_id=write.document_id, body=head + orjson.dumps(document, option=_OPTIONS))


def rewriting_line(slot: str, write: EmbeddingWrite, document: WholeDocument) -> Line:
    """Write a document as it was found, under the number it has, with this vector and stamp."""
    return copy_line(
        slot,
        CopyWrite(
            document_id=write.document_id,
            routing=write.routing,
            source=document.source,
            version=document.number,
            vector=write.vector,
            stamp=write.stamp,
        ),
    )


def copy_delete_line(delete: CopyDelete) -> Line:
    """Delete the copy, unless it has a higher version."""
    head = _head("delete", delete.document_id, delete.routing, delete.version)
    return Line(document_id=delete.document_id, body=head)


def _head(action: str, document_id: str, routing: str | None, version: int) -> bytes:
    how: dict[str, Any] = {"_id": document_id, "version": version, "version_type": "external_gte"}
    if routing is not None:
        how["routing"] = routing
    return orjson.dumps({action: how}, option=_OPTIONS)


def read_whole_document(
    hit: Mapping[str, Any], slots: Mapping[str, Slot], shard: str
) -> WholeDocument:
    """Return a hit, or a found document of a multi-get, without desireline's slots."""
    source = dict(hit.get("_source") or {})
    stamps = {}
    for name, slot in slots.items():
        source.pop(name, None)
        stamp = read_stamp(source.pop(slot.stamp_field, None))
        if stamp is not None:
            stamps[name] = stamp
    return WholeDocument(
        document_id=hit["_id"],
        routing=hit.get("_routing"),
        source=source,
        number=hit["_version"],
        seq_no=hit["_seq_no"],
        shard=shard,
        stamps=stamps,
    )


def whole_source(slots: Mapping[str, Slot]) -> bool | dict[str, list[str]]:
    """Return what of the source is asked for.

    All of it where there is no slot of ours: a filtered source is written anew by the cluster,
    numbers as doubles, while a whole one comes as the application wrote it.
    """
    return {"excludes": list(slots)} if slots else True
