"""How an index lies in a LanceDB table: its columns, and documents to and from them.

======================  ==================================================================
column                  holds
======================  ==================================================================
`_id`, `_routing`       what the application named the document
`_seq_no`               version of the table that last wrote the row
`_source`               the document as JSON, so that any field can be kept
`_text_0`, `_text_1`    words of the text fields, in the order in which they were declared
`embedding__a`          vector of a slot; its metadata holds the similarity
`embedding__a_stamp`    generation, digest, fencing and check of that vector
======================  ==================================================================
"""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import orjson

from desireline.connectors.documents import Document, EmbeddingWrite, Stamp, Vector, Version
from desireline.connectors.engines.source import look_up, pick, text_of
from desireline.connectors.errors import PluginMissingError
from desireline.connectors.search_engine import Read, Slot

try:
    import pyarrow as pa
except ImportError as error:
    raise PluginMissingError(
        f"the embedded engine needs a package that is not installed: {error}",
        next_step="pip install 'desireline[lancedb]'",
    ) from error

Value = TypeVar("Value")

_METADATA = b"desireline"
_SIMILARITY = b"similarity"
_STAMP = pa.struct(
    [
        ("generation", pa.int64()),
        ("digest", pa.string()),
        ("fencing", pa.int64()),
        ("check", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What was fixed when the table was made."""

    #: Names this life of the index: a table dropped and made again has another.
    identity: str
    text_fields: tuple[str, ...]

    @classmethod
    def new(cls, text_fields: Sequence[str]) -> "Layout":
        """Return the layout of a table about to be made."""
        return cls(identity=uuid.uuid4().hex, text_fields=tuple(text_fields))

    @classmethod
    def of(cls, schema: pa.Schema) -> "Layout | None":
        """Read the layout of a table; None where desireline did not make it."""
        written = (schema.metadata or {}).get(_METADATA)
        if written is None:
            return None
        body = json.loads(written)
        return cls(identity=body["identity"], text_fields=tuple(body["text_fields"]))

    @property
    def shard(self) -> str:
        """Key of the one shard in a fence."""
        return f"{self.identity}/0"

    @property
    def text_columns(self) -> dict[str, str]:
        """Column of each text field."""
        return {name: f"_text_{number}" for number, name in enumerate(self.text_fields)}

    def schema(self) -> pa.Schema:
        """Return the schema of a table without slots."""
        fields = [
            pa.field("_id", pa.string(), nullable=False),
            pa.field("_seq_no", pa.int64(), nullable=False),
            pa.field("_routing", pa.string()),
            pa.field("_source", pa.string()),
            *(pa.field(column, pa.string()) for column in self.text_columns.values()),
        ]
        body = {"identity": self.identity, "text_fields": self.text_fields}
        return pa.schema(fields, metadata={_METADATA: json.dumps(body).encode()})

    def source_columns(self, sources: Sequence[Mapping[str, object]]) -> dict[str, list[str]]:
        """Return the columns that hold these documents' own fields."""
        columns = {"_source": [orjson.dumps(dict(source)).decode() for source in sources]}
        for name, column in self.text_columns.items():
            columns[column] = [text_of(look_up(source, name)) for source in sources]
        return columns


def slot_fields(slot: Slot) -> list[pa.Field]:
    """Return the columns that a slot adds."""
    metadata = {_SIMILARITY: slot.similarity.encode()}
    vector = pa.field(slot.name, pa.list_(pa.float32(), slot.dimension), metadata=metadata)
    return [vector, pa.field(slot.stamp_field, _STAMP)]


def slots_of(schema: pa.Schema) -> dict[str, Slot]:
    """Return the slots that a table has."""
    slots = {}
    for field in schema:
        similarity = (field.metadata or {}).get(_SIMILARITY)
        if similarity and pa.types.is_fixed_size_list(field.type):
            slots[field.name] = Slot(
                name=field.name,
                dimension=field.type.list_size,
                similarity="dot" if similarity == b"dot" else "cosine",
            )
    return slots


def whole_rows(
    layout: Layout, schema: pa.Schema, documents: Sequence[Document], seq_no: int
) -> pa.Table:
    """Return rows for whole documents: every slot is empty."""
    columns: dict[str, Sequence[object]] = {
        "_id": [document.document_id for document in documents],
        "_seq_no": [seq_no] * len(documents),
        "_routing": [document.routing for document in documents],
        **layout.source_columns([document.fields for document in documents]),
    }
    empty = [None] * len(documents)
    return pa.table(
        [pa.array(columns.get(field.name, empty), field.type) for field in schema], schema=schema
    )


def source_row(
    layout: Layout, document_id: str, source: Mapping[str, object], seq_no: int
) -> pa.Table:
    """Return a row that changes a document's own fields and no slot."""
    columns: dict[str, Sequence[object]] = {"_id": [document_id], "_seq_no": [seq_no]}
    return pa.table({**columns, **layout.source_columns([source])})


def slot_rows(
    slot: Slot, schema: pa.Schema, writes: Sequence[EmbeddingWrite], seq_no: int
) -> pa.Table:
    """Return rows that change one slot and nothing else."""
    absent = np.array([write.vector is None for write in writes])
    vectors = np.zeros((len(writes), slot.dimension), np.float32)
    for row, write in enumerate(writes):
        if write.vector is not None:
            vectors[row] = write.vector
    stamps = [
        {
            "generation": write.stamp.generation,
            "digest": write.stamp.digest,
            "fencing": write.stamp.fencing,
            "check": write.stamp.check,
        }
        for write in writes
    ]
    ids = [write.document_id for write in writes]
    # A slot made by an older version has stamps without a check: what has no column is left out.
    held = pa.array(stamps, schema.field(slot.stamp_field).type)
    return _slot_table(slot, ids, seq_no, _vector_array(vectors, absent), held)


def empty_slot_rows(slot: Slot, schema: pa.Schema, ids: Sequence[str], seq_no: int) -> pa.Table:
    """Return rows that empty one slot."""
    vectors = np.zeros((len(ids), slot.dimension), np.float32)
    absent = np.ones(len(ids), bool)
    stamps = pa.nulls(len(ids), schema.field(slot.stamp_field).type)
    return _slot_table(slot, ids, seq_no, _vector_array(vectors, absent), stamps)


def _slot_table(
    slot: Slot, ids: Sequence[str], seq_no: int, vectors: pa.Array, stamps: pa.Array
) -> pa.Table:
    return pa.table(
        {
            "_id": pa.array(ids, pa.string()),
            "_seq_no": pa.array([seq_no] * len(ids), pa.int64()),
            slot.name: vectors,
            slot.stamp_field: stamps,
        }
    )


def _vector_array(vectors: np.ndarray, absent: np.ndarray) -> pa.Array:
    dimension = vectors.shape[1]
    return pa.FixedSizeListArray.from_arrays(
        pa.array(vectors.ravel()),
        type=pa.list_(pa.float32(), dimension),
        mask=pa.array(absent),
    )


def columns_of(read: Read, schema: pa.Schema) -> list[str]:
    """Return the columns that a read needs; a slot that is not there yet has none."""
    columns = ["_id", "_seq_no", "_routing"] + ["_source"] * bool(read.fields)
    for slot in slots_of(schema).values():
        if slot.name in read.slots:
            columns += [slot.stamp_field] + [slot.name] * read.embeddings
    return columns


def batches(rows: pa.Table, read: Read) -> Iterator[list[Document]]:
    """Turn rows into documents, a batch at a time."""
    for start in range(0, rows.num_rows, read.batch_size):
        yield documents_of(rows.slice(start, read.batch_size), read)


def documents_of(rows: pa.Table, read: Read) -> list[Document]:
    """Turn rows into documents."""
    stamps = {
        name: rows[f"{name}_stamp"].to_pylist()
        for name in read.slots
        if f"{name}_stamp" in rows.column_names
    }
    embeddings = {name: _vectors(rows[name]) for name in read.slots if name in rows.column_names}
    sources = rows["_source"].to_pylist() if read.fields else ["{}"] * rows.num_rows
    names = zip(*(rows[name].to_pylist() for name in ("_id", "_seq_no", "_routing")), strict=True)
    return [
        Document(
            document_id=document_id,
            fields=pick(orjson.loads(sources[row]), read.fields),
            version=Version(seq_no=seq_no, primary_term=1),
            routing=routing,
            stamps=_present({name: _stamp(values[row]) for name, values in stamps.items()}),
            embeddings=_present({name: values[row] for name, values in embeddings.items()}),
        )
        for row, (document_id, seq_no, routing) in enumerate(names)
    ]


def _present(values: Mapping[str, Value | None]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if value is not None}


def _stamp(value: Mapping[str, object] | None) -> Stamp | None:
    if value is None or value["generation"] is None:
        return None
    known = {name: held for name, held in value.items() if held is not None}
    return Stamp(**known)  # type: ignore[arg-type]


def _vectors(column: pa.ChunkedArray) -> list[Vector | None]:
    vectors: list[Vector | None] = []
    for chunk in column.chunks:
        size = chunk.type.list_size
        values = chunk.values.to_numpy(zero_copy_only=False)
        held = values[chunk.offset * size : (chunk.offset + len(chunk)) * size].reshape(-1, size)
        vectors += [
            vector.copy() if valid else None
            for vector, valid in zip(held, chunk.is_valid().to_pylist(), strict=True)
        ]
    return vectors
