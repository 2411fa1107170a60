"""One index of the memory engine: its documents, its slots and their order of writes."""

import heapq
import uuid
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np

from desireline.connectors.documents import (
    Document,
    EmbeddingWrite,
    Outcome,
    Stamp,
    Vector,
    Vectors,
    Version,
    WriteResult,
)
from desireline.connectors.engines.bm25 import FieldIndex
from desireline.connectors.engines.nearest import nearest, require_fit, unfit
from desireline.connectors.engines.source import holds, look_up, pick, text_of
from desireline.connectors.errors import FieldMissingError, MappingConflictError
from desireline.connectors.generation_indexes import (
    CopyDelete,
    CopyWrite,
    IndexLabel,
    WholeDocument,
)
from desireline.connectors.search_engine import Hit, Read, Slot, Within


@dataclass(slots=True)
class Row:
    """One document as the index holds it."""

    source: dict[str, object]
    seq_no: int
    routing: str | None = None
    stamps: dict[str, Stamp] = field(default_factory=dict)
    vectors: dict[str, Vector] = field(default_factory=dict)
    #: Counted by the index, or given by who writes.
    version: int = 1

    def holds(self, slot: str, generation: int) -> bool:
        """Whether the slot holds a vector of this generation."""
        return slot in self.vectors and self.stamps[slot].generation == generation


class MemoryIndex:
    """Not safe between threads: the engine holds the lock."""

    def __init__(self, text_fields: Sequence[str]) -> None:
        self.text_fields = tuple(text_fields)
        #: Names the one shard, and this life of the index, in a fence.
        self.shard = f"{uuid.uuid4().hex}/0"
        self.rows: dict[str, Row] = {}
        self.slots: dict[str, Slot] = {}
        self.last_seq_no = -1
        self.label: IndexLabel | None = None
        self.blocked = False
        #: Versions of deletes of copies, kept for ever.
        self.tombstones: dict[str, int] = {}
        self._texts: dict[str, tuple[int, FieldIndex]] = {}
        #: By slot and generation.
        self._vectors: dict[tuple[str, int], tuple[int, list[str], Vectors]] = {}

    def next_seq_no(self) -> int:
        """Count one more write; deletes count too."""
        self.last_seq_no += 1
        return self.last_seq_no

    def add_slot(self, slot: Slot) -> None:
        """Take the slot into the mapping, or see that it is there already."""
        present = self.slots.get(slot.name)
        if present not in {None, slot}:
            raise MappingConflictError(
                f"the slot {slot.name!r} has {present}, wanted {slot}; the index is unchanged",
                next_step="use another vector field name, or an encoder of the same dimension",
            )
        if any(slot.name in row.source for row in self.rows.values()):
            raise MappingConflictError(
                f"the field {slot.name!r} holds the application's own values; nothing was changed",
                next_step="choose another vector field name",
            )
        self.slots[slot.name] = slot

    def slot(self, name: str) -> Slot:
        """Return the slot of that name."""
        if name not in self.slots:
            raise FieldMissingError(
                f"the index has no slot {name!r}; its slots: {', '.join(self.slots) or 'none'}",
                next_step="prepare the slot first",
            )
        return self.slots[name]

    def document(self, document_id: str, read: Read) -> Document:
        """Copy out what the read asks for."""
        row = self.rows[document_id]
        wanted = set(read.slots)
        return Document(
            document_id=document_id,
            fields=pick(row.source, read.fields),
            version=Version(seq_no=row.seq_no, primary_term=1),
            routing=row.routing,
            stamps={name: stamp for name, stamp in row.stamps.items() if name in wanted},
            embeddings={
                name: vector.copy() for name, vector in row.vectors.items() if name in wanted
            }
            if read.embeddings
            else {},
        )

    def write_embedding(self, slot: Slot, write: EmbeddingWrite) -> WriteResult:
        """Write if the version still stands and the vector fits."""
        row = self.rows.get(write.document_id)
        if row is None:
            return WriteResult(document_id=write.document_id, outcome=Outcome.GONE)
        if write.version != Version(seq_no=row.seq_no, primary_term=1):
            reason = f"read at {write.version.seq_no}, now at {row.seq_no}"
            return WriteResult(
                document_id=write.document_id, outcome=Outcome.CHANGED, reason=reason
            )
        reason = unfit(write.vector, slot)
        if reason:
            return WriteResult(
                document_id=write.document_id, outcome=Outcome.REJECTED, reason=reason
            )
        row.seq_no = self.next_seq_no()
        if self.label is None or self.label.versions == "sequence":
            row.version += 1
        row.stamps[slot.name] = write.stamp
        row.vectors.pop(slot.name, None)
        if write.vector is not None:
            row.vectors[slot.name] = np.array(write.vector, dtype=np.float32)
        return WriteResult(document_id=write.document_id, outcome=Outcome.WRITTEN)

    def write_copy(self, slot: Slot, write: CopyWrite) -> WriteResult:
        """Write a whole document over any copy of the same or a lower version."""
        reason = self._newer_than(write.document_id, write.version)
        if reason:
            return WriteResult(
                document_id=write.document_id, outcome=Outcome.CHANGED, reason=reason
            )
        reason = unfit(write.vector, slot)
        if reason:
            return WriteResult(
                document_id=write.document_id, outcome=Outcome.REJECTED, reason=reason
            )
        vectors = {} if write.vector is None else {slot.name: np.array(write.vector, np.float32)}
        self.rows[write.document_id] = Row(
            source=deepcopy(dict(write.source)),
            seq_no=self.next_seq_no(),
            routing=write.routing,
            stamps={} if write.stamp is None else {slot.name: write.stamp},
            vectors=vectors,
            version=write.version,
        )
        self.tombstones.pop(write.document_id, None)
        return WriteResult(document_id=write.document_id, outcome=Outcome.WRITTEN)

    def delete_copy(self, delete: CopyDelete) -> WriteResult:
        """Delete a document unless it has a higher version, and remember that it was."""
        reason = self._newer_than(delete.document_id, delete.version)
        if reason:
            return WriteResult(
                document_id=delete.document_id, outcome=Outcome.CHANGED, reason=reason
            )
        gone = self.rows.pop(delete.document_id, None) is None
        self.tombstones[delete.document_id] = delete.version
        self.next_seq_no()
        return WriteResult(
            document_id=delete.document_id, outcome=Outcome.GONE if gone else Outcome.WRITTEN
        )

    def _newer_than(self, document_id: str, version: int) -> str:
        row = self.rows.get(document_id)
        present = self.tombstones.get(document_id, -1) if row is None else row.version
        return f"version {present} is there already" if present > version else ""

    def whole(self, document_id: str) -> WholeDocument:
        """Copy out all of a document but its slots."""
        row = self.rows[document_id]
        return WholeDocument(
            document_id=document_id,
            routing=row.routing,
            source=deepcopy(row.source),
            number=row.version,
            seq_no=row.seq_no,
            shard=self.shard,
            stamps=dict(row.stamps),
        )

    def search_vectors(
        self, slot: Slot, vector: Vector, k: int, generation: int, within: Within | None = None
    ) -> list[Hit]:
        """Compare with every vector of the generation."""
        require_fit(vector, slot)
        place = slot.name, generation
        seq_no, ids, vectors = self._vectors.get(place, (-2, [], np.empty((0, 0), np.float32)))
        if seq_no != self.last_seq_no:
            ids = [key for key, row in self.rows.items() if row.holds(slot.name, generation)]
            held = [self.rows[key].vectors[slot.name] for key in ids]
            vectors = np.stack(held) if held else np.empty((0, slot.dimension), np.float32)
            self._vectors[place] = (self.last_seq_no, ids, vectors)
        if within is not None:
            sources = [self.rows[key].source for key in ids]
            inside = [row for row, source in enumerate(sources) if holds(source, within)]
            ids, vectors = [ids[row] for row in inside], vectors[inside]
        found = nearest(vectors, vector, slot.similarity, k)
        return [self._hit(ids[row], score) for row, score in found]

    def search_text(self, fields: Sequence[tuple[str, float]], text: str, k: int) -> list[Hit]:
        """Score by the best field, as a `multi_match` of type `best_fields` does."""
        scores: dict[str, float] = {}
        for name, boost in fields:
            for document_id, score in self._text(name).score(text).items():
                scores[document_id] = max(scores.get(document_id, 0.0), boost * score)
        best = heapq.nsmallest(k, scores.items(), key=lambda item: (-item[1], item[0]))
        return [self._hit(document_id, score) for document_id, score in best]

    def _text(self, name: str) -> FieldIndex:
        seq_no, index = self._texts.get(name, (-2, None))
        if index is None or seq_no != self.last_seq_no:
            index = FieldIndex(
                {key: text_of(look_up(row.source, name)) for key, row in self.rows.items()}
            )
            self._texts[name] = (self.last_seq_no, index)
        return index

    def _hit(self, document_id: str, score: float) -> Hit:
        return Hit(document_id=document_id, score=score, fields=dict(self.rows[document_id].source))
