"""Port: a search engine whose index holds documents and reusable vector slots."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from desireline.connectors.documents import Document, EmbeddingWrite, Vector, WriteResult

Similarity = Literal["cosine", "dot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A reusable vector field of an index and, beside it, the stamp of each document."""

    name: str
    dimension: int
    similarity: Similarity = "cosine"

    @property
    def stamp_field(self) -> str:
        """Name of the object field that holds the stamp."""
        return f"{self.name}_stamp"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDescription:
    """What an index is, as far as desireline must know before it writes."""

    #: The concrete index behind the name or alias.
    index: str
    #: Type of every field by dotted path: `{"title": "text", "embedding__a": "knn_vector"}`.
    fields: Mapping[str, str]
    #: The vector fields and their dimension.
    slots: Mapping[str, Slot]
    documents: int
    size_bytes: int
    shards: int
    #: Whether the index can hold and search vectors.
    vectors_enabled: bool
    #: What builds and searches the graphs of new slots.
    knn_engine: Literal["lucene", "faiss"] = "lucene"
    #: Why slots cannot be written in place, one sentence each; empty when they can.
    obstacles: tuple[str, ...] = ()
    #: Fields that are searched by their words and cannot be asked for whole values.
    words: frozenset[str] = frozenset()

    def exact(self, field: str) -> str:
        """Return the field by which documents are asked for a whole value of this one.

        Its own name, or that of a keyword inside it; empty where there is neither.
        """
        if field not in self.words:
            return field
        inside = (name for name in sorted(self.fields) if name.startswith(f"{field}."))
        return next((name for name in inside if self.fields[name] == "keyword"), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Which parts of each document a read returns, and how many documents at a time."""

    fields: tuple[str, ...] = ()
    #: Slots whose stamp is returned.
    slots: tuple[str, ...] = ()
    #: Whether the embeddings of `slots` are returned too.
    embeddings: bool = False
    batch_size: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """A position per shard up to which every write has been seen.

    Keys name the shard and the index it belongs to, so a fence of an index that was
    deleted and made again is never mistaken for one of the new index.
    """

    positions: Mapping[str, int]

    def to_json(self) -> dict[str, int]:
        """Return a plain dict for a checkpoint."""
        return dict(self.positions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How many documents there are and how many carry a generation's stamp in a slot."""

    documents: int
    stamped: int

    @property
    def complete(self) -> bool:
        """Whether every document carries the stamp."""
        return self.documents == self.stamped


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One answer of a search, best first in its list."""

    document_id: str
    score: float
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """Only documents of which a field holds one of these values, as it is or in a list."""

    #: Dotted path; in OpenSearch one that holds whole values, not words.
    field: str
    values: tuple[str, ...]


class SearchEngine(Protocol):
    """What desireline needs of a search engine. Every method may raise a ConnectorError."""

    def describe(self, index: str) -> IndexDescription:
        """Say what the index is. Raises IndexMissingError."""
        ...

    def prepare_slot(self, index: str, slot: Slot) -> None:
        """Make sure the slot and its stamp field exist; safe to repeat.

        Raises:
            MappingConflictError: the field exists with another type or dimension.

        """
        ...

    def scan(self, index: str, read: Read) -> Iterator[list[Document]]:
        """Read every document once, as of one moment, with its version.

        Raises:
            PartialReadError: a shard did not answer; what was read proves nothing.

        """
        ...

    def enumerate(self, index: str, read: Read) -> Iterator[list[Document]]:
        """Read every document once, as of one moment, another way than `scan` does.

        In order of the ids' characters, unless that would cost the engine too much memory.

        Raises:
            PartialReadError: a shard did not answer, or fewer documents came than there are.

        """
        ...

    def fence(self, index: str, *, beyond: Fence | None = None) -> Fence:
        """Return the position up to which every write is now visible to `changes`.

        Where nothing was written since the fence `beyond`, that is answered, and what it takes
        to make writes visible is spared.
        """
        ...

    def changes(
        self, index: str, since: Fence, until: Fence, read: Read
    ) -> Iterator[list[Document]]:
        """Read documents written after `since` up to `until`, in their present form.

        Deleted documents are not returned. A shard missing from `since` is read whole.
        """
        ...

    def fetch(self, index: str, documents: Sequence[Document], read: Read) -> list[Document]:
        """Read these documents as they are now; deleted ones are left out."""
        ...

    def write_embeddings(
        self, index: str, slot: str, writes: Sequence[EmbeddingWrite]
    ) -> list[WriteResult]:
        """Write vectors and stamps, each guarded by the version read; one result a write.

        Never creates a document, never touches another field.

        Raises:
            WriteBlockedError: the index takes no writes; nothing of the rest was written.

        """
        ...

    def coverage(self, index: str, slot: str, generation: int) -> Coverage:
        """Count every document, and those stamped with the generation, after a refresh."""
        ...

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
        """Return the k nearest documents of a generation by the slot's similarity.

        A vector without the generation's stamp does not count, however near it is; nor does a
        document that is not `within`, where that is given.
        """
        ...

    def search_text(
        self, index: str, fields: Sequence[tuple[str, float]], text: str, k: int
    ) -> list[Hit]:
        """Return the k best documents by BM25 over fields with their boosts."""
        ...

    def clear_slot(self, index: str, slot: str) -> int:
        """Remove vectors and stamps of a slot; return how many documents were cleared."""
        ...

    def close(self) -> None:
        """Release connections."""
        ...


class Application(Protocol):
    """What the owner of an index does. desireline itself never calls this on a user's index.

    The demo, the trials and the tests play the owner through it.
    """

    def create_index(self, index: str, text_fields: Sequence[str]) -> None:
        """Create an index that can hold vectors."""
        ...

    def index_documents(self, index: str, documents: Sequence[Document]) -> None:
        """Write whole documents, as an application does: slots are not carried over."""
        ...

    def update_fields(self, index: str, document_id: str, fields: Mapping[str, object]) -> None:
        """Change some fields of one document and leave the rest, slots included."""
        ...

    def delete_documents(self, index: str, document_ids: Sequence[str]) -> None:
        """Delete documents."""
        ...

    def drop_index(self, index: str) -> None:
        """Delete the index; no error if it is missing."""
        ...
