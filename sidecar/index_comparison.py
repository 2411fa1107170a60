"""Two indexes that must hold the same documents: nothing missing, nothing resurrected.

Both are enumerated in order of id and merged, so memory holds two pages, however large they are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from desireline.connectors.documents import Document
from desireline.connectors.errors import PartialReadError
from desireline.connectors.search_engine import Read, SearchEngine
from desireline.sidecar.verification import Difference, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of two indexes."""

    engine: SearchEngine
    index: str


def compare(original: Side, copy: Side, fields: Sequence[str]) -> Iterator[Difference]:
    """Yield what the copy lacks, what only it has, and where one of the fields differs.

    Both must be quiet: a write between the two readings is a difference.

    Raises:
        PartialReadError: a shard did not answer, or an engine does not enumerate by id.

    """
    read = Read(fields=tuple(fields))
    left, right = _ordered(original, read), _ordered(copy, read)
    mine, theirs = next(left, None), next(right, None)
    while mine is not None or theirs is not None:
        if theirs is None or (mine is not None and _key(mine) < _key(theirs)):
            assert mine is not None
            yield _difference(mine, Kind.MISSING, copy.index)
            mine = next(left, None)
        elif mine is None or _key(theirs) < _key(mine):
            yield _difference(theirs, Kind.UNWANTED, copy.index)
            theirs = next(right, None)
        else:
            if dict(mine.fields) != dict(theirs.fields):
                yield _difference(theirs, Kind.OTHER_FIELDS, _names(mine, theirs))
            mine, theirs = next(left, None), next(right, None)


def _ordered(side: Side, read: Read) -> Iterator[Document]:
    """Yield one document after the other, by id and then by routing."""
    same_id: list[Document] = []
    for documents in side.engine.enumerate(side.index, read):
        for document in documents:
            if same_id and document.document_id != same_id[0].document_id:
                if document.document_id < same_id[0].document_id:
                    raise PartialReadError(
                        f"{side.index} is not enumerated in order of its ids, so it cannot be "
                        "compared with another index; nothing was proved",
                        next_step="allow it for the time: indices.id_field_data.enabled: true",
                    )
                yield from sorted(same_id, key=_key)
                same_id = []
            same_id.append(document)
    yield from sorted(same_id, key=_key)


def _key(document: Document) -> tuple[str, str]:
    return document.document_id, document.routing or ""


def _names(mine: Document, theirs: Document) -> str:
    names = mine.fields.keys() | theirs.fields.keys()
    return ", ".join(sorted(n for n in names if mine.fields.get(n) != theirs.fields.get(n)))


def _difference(document: Document, kind: Kind, detail: str) -> Difference:
    return Difference(
        document_id=document.document_id, routing=document.routing, kind=kind, detail=detail
    )
