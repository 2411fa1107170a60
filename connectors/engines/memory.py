"""A search engine in this process's memory, for users' tests and for scenarios."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy

from desireline.connectors.documents import Document, EmbeddingWrite, Outcome, Vector, WriteResult
from desireline.connectors.engines.memory_generations import MemoryGenerations
from desireline.connectors.engines.memory_index import MemoryIndex, Row
from desireline.connectors.engines.source import field_types, merge
from desireline.connectors.errors import ConnectorError, IndexMissingError, StateConflictError
from desireline.connectors.search_engine import (
    Coverage,
    Fence,
    Hit,
    IndexDescription,
    Read,
    Slot,
    Within,
)

BeforeCall = Callable[[str, str], None]
"""Called with the method's name and the index before each call."""

BeforeWrite = Callable[[EmbeddingWrite], Outcome | None]
"""Called before each single embedding write; an outcome is answered instead of writing."""


class MemoryEngine(MemoryGenerations):
    """A SearchEngine with GenerationIndexes and an Application over dicts. Threads may share one.

    Every write and delete takes the next `seq_no` of its index, of which there is one
    shard. Search is exact: BM25 over all documents, cosine or dot product over all vectors.

    Faults and races are staged through two explicit hooks, both called with no lock held:
    they may write to this engine as an application would, block, or raise.
    """

    def __init__(
        self, *, before_call: BeforeCall | None = None, before_write: BeforeWrite | None = None
    ) -> None:
        self._lock = threading.RLock()
        self._indexes: dict[str, MemoryIndex] = {}
        self._aliases: dict[str, str] = {}
        self._tickets: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._before_call = before_call
        self._before_write = before_write

    # What desireline needs.

    def describe(self, index: str) -> IndexDescription:
        """Say what the index is. Raises IndexMissingError."""
        self._about_to("describe", index)
        with self._lock:
            held = self._index(index)
            types = dict.fromkeys(held.text_fields, "text")
            for row in held.rows.values():
                types.update(
                    (name, kind) for name, kind in field_types(row.source) if name not in types
                )
            for slot in held.slots.values():
                types |= {slot.name: "knn_vector", slot.stamp_field: "object"}
            return IndexDescription(
                index=self._aliases.get(index, index),
                fields=types,
                slots=dict(held.slots),
                documents=len(held.rows),
                size_bytes=sum(map(_size, held.rows.values())),
                shards=1,
                vectors_enabled=True,
            )

    def prepare_slot(self, index: str, slot: Slot) -> None:
        """Make sure the slot exists; safe to repeat. Raises MappingConflictError."""
        self._about_to("prepare_slot", index)
        with self._lock:
            self._index(index).add_slot(slot)

    def scan(self, index: str, read: Read) -> Iterator[list[Document]]:
        """Read every document once, as of the first batch."""
        self._about_to("scan", index)
        with self._lock:
            held = self._index(index)
            documents = [held.document(document_id, read) for document_id in held.rows]
        yield from _batches(documents, read.batch_size)

    def enumerate(self, index: str, read: Read) -> Iterator[list[Document]]:
        """Read every document once, in order of id, as of the first batch."""
        self._about_to("enumerate", index)
        with self._lock:
            held = self._index(index)
            documents = [held.document(document_id, read) for document_id in sorted(held.rows)]
        yield from _batches(documents, read.batch_size)

    def fence(self, index: str, *, beyond: Fence | None = None) -> Fence:  # noqa: ARG002 - free
        """Return the position of the last write."""
        self._about_to("fence", index)
        with self._lock:
            held = self._index(index)
            return Fence(positions={held.shard: held.last_seq_no})

    def changes(
        self, index: str, since: Fence, until: Fence, read: Read
    ) -> Iterator[list[Document]]:
        """Read documents whose last write lies after `since` and not after `until`."""
        self._about_to("changes", index)
        with self._lock:
            held = self._index(index)
            after = since.positions.get(held.shard, -1)
            last = until.positions.get(held.shard, held.last_seq_no)
            documents = [
                held.document(document_id, read)
                for document_id, row in held.rows.items()
                if after < row.seq_no <= last
            ]
        yield from _batches(documents, read.batch_size)

    def fetch(self, index: str, documents: Sequence[Document], read: Read) -> list[Document]:
        """Read these documents as they are now; deleted ones are left out."""
        self._about_to("fetch", index)
        with self._lock:
            held = self._index(index)
            ids = [document.document_id for document in documents]
            return [held.document(key, read) for key in ids if key in held.rows]

    def write_embeddings(
        self, index: str, slot: str, writes: Sequence[EmbeddingWrite]
    ) -> list[WriteResult]:
        """Write vectors and stamps, each guarded by the version read."""
        self._about_to("write_embeddings", index)
        return [self._write_embedding(index, slot, write) for write in writes]

    def _write_embedding(self, index: str, slot: str, write: EmbeddingWrite) -> WriteResult:
        staged = self._before_write(write) if self._before_write else None
        if staged is not None:
            return WriteResult(document_id=write.document_id, outcome=staged, reason="staged")
        with self._lock:
            held = self._writable(index)
            return held.write_embedding(held.slot(slot), write)

    def coverage(self, index: str, slot: str, generation: int) -> Coverage:
        """Count every document, and those stamped with the generation."""
        self._about_to("coverage", index)
        with self._lock:
            held = self._index(index)
            held.slot(slot)
            stamps = [row.stamps.get(slot) for row in held.rows.values()]
            stamped = sum(stamp is not None and stamp.generation == generation for stamp in stamps)
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
        self._about_to("search_vectors", index)
        with self._lock:
            held = self._index(index)
            return held.search_vectors(held.slot(slot), vector, k, generation, within)

    def search_text(
        self, index: str, fields: Sequence[tuple[str, float]], text: str, k: int
    ) -> list[Hit]:
        """Return the k best documents by BM25, each scored by its best boosted field."""
        self._about_to("search_text", index)
        with self._lock:
            return self._index(index).search_text(fields, text, k)

    def clear_slot(self, index: str, slot: str) -> int:
        """Remove vectors and stamps of a slot; return how many documents were cleared."""
        self._about_to("clear_slot", index)
        with self._lock:
            held = self._index(index)
            held.slot(slot)
            filled = [row for row in held.rows.values() if slot in row.stamps]
            for row in filled:
                row.stamps.pop(slot)
                row.vectors.pop(slot, None)
                row.seq_no = held.next_seq_no()
            return len(filled)

    def close(self) -> None:
        """Keep everything: the indexes live as long as the engine."""

    # What the owner of an index does.

    def create_index(self, index: str, text_fields: Sequence[str]) -> None:
        """Create an empty index that can hold vectors."""
        self._about_to("create_index", index)
        with self._lock:
            if index in self._indexes:
                raise ConnectorError(
                    f"the index {index!r} exists already; it was left as it is",
                    next_step="drop it first, or choose another name",
                )
            self._indexes[index] = MemoryIndex(text_fields)

    def index_documents(self, index: str, documents: Sequence[Document]) -> None:
        """Write whole documents, as an application does: slots are not carried over."""
        self._about_to("index_documents", index)
        with self._lock:
            held = self._writable(index)
            for document in documents:
                before = held.rows.get(document.document_id)
                held.rows[document.document_id] = Row(
                    source=deepcopy(dict(document.fields)),
                    seq_no=held.next_seq_no(),
                    routing=document.routing,
                    version=1 if before is None else before.version + 1,
                )

    def index_numbered(self, index: str, document: Document, number: int) -> None:
        """Write a whole document under a version number of the application's own.

        Raises:
            StateConflictError: the document has this version or a higher one already.

        """
        self._about_to("index_numbered", index)
        with self._lock:
            held = self._writable(index)
            before = held.rows.get(document.document_id)
            if before is not None and before.version >= number:
                raise StateConflictError(
                    f"document {document.document_id!r} has version {before.version} already;"
                    " nothing was written"
                )
            held.rows[document.document_id] = Row(
                source=deepcopy(dict(document.fields)),
                seq_no=held.next_seq_no(),
                routing=document.routing,
                version=number,
            )

    def update_fields(self, index: str, document_id: str, fields: Mapping[str, object]) -> None:
        """Change some fields of one document and leave the rest, slots included."""
        self._about_to("update_fields", index)
        with self._lock:
            held = self._writable(index)
            row = held.rows.get(document_id)
            if row is None:
                raise ConnectorError(
                    f"the index {index!r} has no document {document_id!r}; nothing was changed",
                    next_step="index the whole document",
                )
            row.source = merge(row.source, deepcopy(dict(fields)))
            row.seq_no = held.next_seq_no()
            row.version += 1

    def delete_documents(self, index: str, document_ids: Sequence[str]) -> None:
        """Delete documents; those that are not there are passed over."""
        self._about_to("delete_documents", index)
        with self._lock:
            held = self._writable(index)
            for document_id in document_ids:
                if held.rows.pop(document_id, None):
                    held.next_seq_no()

    def drop_index(self, index: str) -> None:
        """Delete the index; no error if it is missing."""
        self._about_to("drop_index", index)
        with self._lock:
            self._indexes.pop(index, None)
            self._aliases = {a: held for a, held in self._aliases.items() if held != index}

    def _about_to(self, method: str, index: str) -> None:
        if self._before_call:
            self._before_call(method, index)

    def _index(self, index: str) -> MemoryIndex:
        index = self._aliases.get(index, index)
        if index not in self._indexes:
            raise IndexMissingError(
                f"there is no index {index!r}; indexes: {', '.join(self._indexes) or 'none'}",
                next_step="create the index, or correct its name in desireline.toml",
            )
        return self._indexes[index]


def _batches(documents: list[Document], size: int) -> Iterator[list[Document]]:
    for start in range(0, len(documents), size):
        yield documents[start : start + size]


def _size(row: Row) -> int:
    vectors = sum(vector.nbytes for vector in row.vectors.values())
    return vectors + sum(len(str(value)) for value in row.source.values())
