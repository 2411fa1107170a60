"""A document of a cluster: what of it is asked for, and how the answer is read."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from desireline.connectors.documents import Document, Stamp, Version
from desireline.connectors.engines.source import look_up, pick
from desireline.connectors.errors import PartialReadError
from desireline.connectors.search_engine import Read


def source_fields(read: Read) -> list[str]:
    """Return the fields of the source that the read needs."""
    stamps = [f"{slot}_stamp" for slot in read.slots]
    return [*read.fields, *stamps, *(read.slots if read.embeddings else ())]


def read_document(hit: Mapping[str, Any], read: Read) -> Document:
    """Return a hit, or a found document of a multi-get, as a document."""
    source = hit.get("_source") or {}
    stamps = {slot: read_stamp(look_up(source, f"{slot}_stamp")) for slot in read.slots}
    wanted = read.slots if read.embeddings else ()
    vectors = {slot: look_up(source, slot) for slot in wanted}
    return Document(
        document_id=hit["_id"],
        fields=pick(source, read.fields),
        version=Version(seq_no=hit["_seq_no"], primary_term=hit["_primary_term"]),
        routing=hit.get("_routing"),
        stamps={slot: stamp for slot, stamp in stamps.items() if stamp is not None},
        embeddings={
            slot: np.asarray(numbers, dtype=np.float32)
            for slot, numbers in vectors.items()
            if numbers is not None
        },
    )


def read_stamp(held: object) -> Stamp | None:
    """Read a stamp out of a document; None where there is none."""
    if not isinstance(held, Mapping) or "generation" not in held:
        return None
    return Stamp(
        generation=int(held["generation"]),
        digest=str(held.get("digest", "")),
        fencing=int(held.get("fencing", 0)),
        check=str(held.get("check", "")),
    )


def reference(document: Document) -> dict[str, str]:
    """Return how a multi-get names the document."""
    routing = {} if document.routing is None else {"routing": document.routing}
    return {"_id": document.document_id, **routing}


def is_found(got: Mapping[str, Any], index: str) -> bool:
    """Say whether the document exists. Raises PartialReadError where that is not known."""
    if "error" in got:
        raise PartialReadError(
            f"{index}: the document {got['_id']!r} could not be read: "
            f"{got['error'].get('reason')}; nothing was concluded from it",
            next_step="run again when the cluster is well",
        )
    return bool(got.get("found"))
