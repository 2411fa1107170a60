"""The embedded search engine: LanceDB tables in a folder, no server."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from desireline.connectors.documents import Document, EmbeddingWrite, Outcome, Vector, WriteResult
from desireline.connectors.engine_load import DiskSpace, EngineLoad, NodeLoad
from desireline.connectors.engines.lance_layout import (
    Layout,
    batches,
    columns_of,
    documents_of,
    empty_slot_rows,
    slot_fields,
    slot_rows,
    slots_of,
    source_row,
    whole_rows,
)
from desireline.connectors.engines.lance_tables import (
    LanceTables,
    in_ids,
    match,
    select,
    update_rows,
)
from desireline.connectors.engines.nearest import require_fit, unfit
from desireline.connectors.engines.source import field_types, holds, merge
from desireline.connectors.errors import ConnectorError, FieldMissingError, MappingConflictError
from desireline.connectors.search_engine import (
    Coverage,
    Fence,
    Hit,
    IndexDescription,
    Read,
    Slot,
    Within,
)

_DESCRIBED = 200
"""How many documents `describe` looks at for the types of fields that are not text."""

_WIDER = 4
"""By how much further a search within some values looks at a time."""

_KEPT_FREE = 0.05
"""Share of the disk that is left to the rest of the machine."""


class LanceDbEngine:
    """A SearchEngine and an Application over a folder. Threads and processes may share it.

    **Writes** of one index wait for each other on a lock file beside its table, so that a
    guard is compared and the write committed in one step. A write's `seq_no` is the number
    of the table version that it commits: it grows with every write and delete, survives
    restarts, and makes the table's version a fence. Only this class may write the tables.

    **Reads** take no lock. Each sees one version of the table, the newest when it began; a
    scan holds what it reads in memory, so that a long one never misses a compacted file.

    **Search** is exact. Every vector of the slot is compared (a few ms for tens of thousands;
    beyond about 200,000 documents a cluster is the better home), and full text is LanceDB's
    own BM25, which also reads the rows that its index does not hold yet.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._tables = LanceTables(self._path)

    # What desireline needs.

    def describe(self, index: str) -> IndexDescription:
        """Say what the index is. Raises IndexMissingError."""
        with self._tables.reading(index) as (table, layout):
            seen = table.search().select(["_source"]).limit(_DESCRIBED).to_arrow()
            stats = table.stats()
            slots = slots_of(table.schema)
        types: dict[str, str] = {}
        for source in seen["_source"].to_pylist():
            types.update(field_types(orjson.loads(source)))
        types.update(dict.fromkeys(layout.text_fields, "text"))
        for slot in slots.values():
            types |= {slot.name: "knn_vector", slot.stamp_field: "object"}
        return IndexDescription(
            index=index,
            fields=types,
            slots=slots,
            documents=stats["num_rows"],
            size_bytes=stats["total_bytes"],
            shards=1,
            vectors_enabled=True,
        )

    def prepare_slot(self, index: str, slot: Slot) -> None:
        """Make sure the slot exists; safe to repeat. Raises MappingConflictError."""
        if not re.fullmatch(r"[A-Za-z]\w*", slot.name, re.ASCII):
            raise MappingConflictError(
                f"{slot.name!r} cannot name a slot of an embedded index; nothing was changed",
                next_step="use letters, digits and underscores, a letter first",
            )
        with self._tables.writing(index) as (table, _):
            present = slots_of(table.schema).get(slot.name)
            if present is None:
                table.add_columns(slot_fields(slot))
        if present not in {None, slot}:
            raise MappingConflictError(
                f"the slot {slot.name!r} of {index!r} is {present}, wanted {slot}; "
                "the index is unchanged",
                next_step="use another vector field name, or an encoder of the same dimension",
            )

    def scan(self, index: str, read: Read) -> Iterator[list[Document]]:
        """Read every document once, as of the first batch."""
        with self._tables.reading(index) as (table, _):
            rows = select(table, columns_of(read, table.schema))
        yield from batches(rows, read)

    def enumerate(self, index: str, read: Read) -> Iterator[list[Document]]:
        """Read every document once, in order of id, as of the first batch."""
        with self._tables.reading(index) as (table, _):
            rows = select(table, columns_of(read, table.schema))
        yield from batches(rows.sort_by("_id"), read)

    def fence(self, index: str, *, beyond: Fence | None = None) -> Fence:  # noqa: ARG002 - free
        """Return the version of the table: every write up to it is visible."""
        with self._tables.reading(index) as (table, layout):
            return Fence(positions={layout.shard: table.version})

    def changes(
        self, index: str, since: Fence, until: Fence, read: Read
    ) -> Iterator[list[Document]]:
        """Read documents whose last write lies after `since` and not after `until`."""
        with self._tables.reading(index) as (table, layout):
            after = since.positions.get(layout.shard, -1)
            last = until.positions.get(layout.shard, table.version)
            where = f"_seq_no > {after} AND _seq_no <= {last}"
            rows = select(table, columns_of(read, table.schema), where)
        yield from batches(rows, read)

    def fetch(self, index: str, documents: Sequence[Document], read: Read) -> list[Document]:
        """Read these documents as they are now; deleted ones are left out."""
        ids = [document.document_id for document in documents]
        found: list[Document] = []
        with self._tables.reading(index) as (table, _):
            for where in in_ids(ids):
                found += documents_of(select(table, columns_of(read, table.schema), where), read)
        return found

    def write_embeddings(
        self, index: str, slot: str, writes: Sequence[EmbeddingWrite]
    ) -> list[WriteResult]:
        """Write vectors and stamps, each guarded by the version read, in one commit."""
        with self._tables.writing(index) as (table, _):
            target, seq_no = _slot(table, index, slot), table.version + 1
            standing = _versions(table, [write.document_id for write in writes])
            results = []
            winners: dict[str, EmbeddingWrite] = {}
            for write in writes:
                result = _decide(write, target, standing)
                results.append(result)
                if result.outcome is Outcome.WRITTEN:
                    winners[write.document_id] = write
                    standing[write.document_id] = seq_no
            if winners:
                rows = slot_rows(target, table.schema, list(winners.values()), seq_no)
                update_rows(table, rows, seq_no)
        return results

    def coverage(self, index: str, slot: str, generation: int) -> Coverage:
        """Count every document, and those stamped with the generation, of one version."""
        with self._tables.reading(index) as (table, _):
            stamps = select(table, [_slot(table, index, slot).stamp_field]).column(0)
        stamped = sum(
            stamp is not None and stamp["generation"] == generation for stamp in stamps.to_pylist()
        )
        return Coverage(documents=len(stamps), stamped=stamped)

    def search_vectors(
        self,
        index: str,
        slot: str,
        vector: Vector,
        k: int,
        *,
        generation: int,
        within: Within | None = None,
    ) -> list[Hit]:
        """Return the k nearest documents; the score is the cosine or the dot product."""
        with self._tables.reading(index) as (table, _):
            target = _slot(table, index, slot)
            require_fit(vector, target)

            def found(limit: int) -> list[Hit]:
                query = table.search(vector, vector_column_name=slot)
                query = query.distance_type(target.similarity).bypass_vector_index().limit(limit)
                stamped = f"{target.stamp_field}.generation = {generation}"
                query = query.where(stamped, prefilter=True)
                rows = query.select(["_id", "_source", "_distance"]).to_arrow()
                return _hits(rows, [1 - distance for distance in rows["_distance"].to_pylist()])

            return found(k) if within is None else _first_within(found, within, k)

    def search_text(
        self, index: str, fields: Sequence[tuple[str, float]], text: str, k: int
    ) -> list[Hit]:
        """Return the k best documents by BM25, each scored by its best boosted field."""
        with self._tables.reading(index) as (table, layout):
            boosts = {_text_column(layout, index, name): boost for name, boost in fields}
            query = table.search(match(text, boosts), query_type="fts").limit(k)
            found = query.select(["_id", "_source", "_score"]).to_arrow()
        return _hits(found, found["_score"].to_pylist())

    def clear_slot(self, index: str, slot: str) -> int:
        """Remove vectors and stamps of a slot; return how many documents were cleared."""
        with self._tables.writing(index) as (table, _):
            target = _slot(table, index, slot)
            where = f"{target.stamp_field}.generation IS NOT NULL"
            ids = select(table, ["_id"], where)["_id"].to_pylist()
            if ids:
                seq_no = table.version + 1
                update_rows(table, empty_slot_rows(target, table.schema, ids, seq_no), seq_no)
        return len(ids)

    def load(self, index: str) -> EngineLoad:
        """Measure the disk that holds the index: all else is this process's own."""
        with self._tables.reading(index):
            disk = shutil.disk_usage(self._path)
        space = DiskSpace(
            total_bytes=disk.total,
            available_bytes=disk.free,
            floor_bytes=int(disk.total * _KEPT_FREE),
        )
        return EngineLoad(nodes=(NodeLoad(name="this machine", disk=space),), embedded=True)

    def close(self) -> None:
        """Keep nothing open: tables are opened for each call."""

    # What the owner of an index does.

    def create_index(self, index: str, text_fields: Sequence[str]) -> None:
        """Create an empty index that can hold vectors."""
        self._tables.create(index, Layout.new(text_fields))

    def index_documents(self, index: str, documents: Sequence[Document]) -> None:
        """Write whole documents, as an application does: slots are not carried over."""
        latest = {document.document_id: document for document in documents}
        if not latest:
            return
        with self._tables.writing(index) as (table, layout):
            seq_no = table.version + 1
            rows = whole_rows(layout, table.schema, list(latest.values()), seq_no)
            update_rows(table, rows, seq_no, insert=True)

    def update_fields(self, index: str, document_id: str, fields: Mapping[str, object]) -> None:
        """Change some fields of one document and leave the rest, slots included."""
        with self._tables.writing(index) as (table, layout):
            (where,) = in_ids([document_id])
            sources = select(table, ["_source"], where)["_source"].to_pylist()
            if not sources:
                raise ConnectorError(
                    f"the index {index!r} has no document {document_id!r}; nothing was changed",
                    next_step="index the whole document",
                )
            source, seq_no = merge(orjson.loads(sources[0]), fields), table.version + 1
            update_rows(table, source_row(layout, document_id, source, seq_no), seq_no)

    def delete_documents(self, index: str, document_ids: Sequence[str]) -> None:
        """Delete documents; those that are not there are passed over."""
        with self._tables.writing(index) as (table, _):
            for where in in_ids(document_ids):
                table.delete(where)

    def drop_index(self, index: str) -> None:
        """Delete the index; no error if it is missing."""
        self._tables.drop(index)


def _slot(table: Any, index: str, name: str) -> Slot:
    slots = slots_of(table.schema)
    if name not in slots:
        raise FieldMissingError(
            f"the index {index!r} has no slot {name!r}; its slots: {', '.join(slots) or 'none'}",
            next_step="prepare the slot first",
        )
    return slots[name]


def _text_column(layout: Layout, index: str, name: str) -> str:
    if name not in layout.text_columns:
        raise FieldMissingError(
            f"the index {index!r} has no text field {name!r}; "
            f"its text fields: {', '.join(layout.text_fields) or 'none'}",
            next_step="correct `text` in desireline.toml",
        )
    return layout.text_columns[name]


def _versions(table: Any, ids: Sequence[str]) -> dict[str, int]:
    standing: dict[str, int] = {}
    for where in in_ids(ids):
        rows = select(table, ["_id", "_seq_no"], where)
        pairs = zip(rows["_id"].to_pylist(), rows["_seq_no"].to_pylist(), strict=True)
        standing.update(pairs)
    return standing


def _decide(write: EmbeddingWrite, slot: Slot, standing: Mapping[str, int]) -> WriteResult:
    seq_no = standing.get(write.document_id)
    outcome, reason = Outcome.WRITTEN, ""
    if seq_no is None:
        outcome = Outcome.GONE
    elif seq_no != write.version.seq_no:
        outcome, reason = Outcome.CHANGED, f"read at {write.version.seq_no}, now at {seq_no}"
    elif reason := unfit(write.vector, slot):
        outcome = Outcome.REJECTED
    return WriteResult(document_id=write.document_id, outcome=outcome, reason=reason)


def _first_within(found: Callable[[int], list[Hit]], within: Within, k: int) -> list[Hit]:
    """Look at more and more of the nearest until k of them are within, or there are no more.

    Fields lie in the document's JSON, which the table cannot ask about.
    """
    limit = _WIDER * k
    while True:
        nearest = found(limit)
        inside = [hit for hit in nearest if holds(hit.fields, within)]
        if len(inside) >= k or len(nearest) < limit:
            return inside[:k]
        limit *= _WIDER


def _hits(found: Any, scores: Sequence[float]) -> list[Hit]:
    rows = zip(found["_id"].to_pylist(), found["_source"].to_pylist(), scores, strict=True)
    return [
        Hit(document_id=document_id, score=score, fields=orjson.loads(source))
        for document_id, source, score in rows
    ]
