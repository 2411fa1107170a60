"""What can be found, how it is rendered into one input, and what proves its embedding."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
"""One embedding, shape (dimension,)."""

Vectors = NDArray[np.float32]
"""Many embeddings, shape (count, dimension)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Where a document stands in its shard's history; guards every write."""

    seq_no: int
    primary_term: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Proof of what a slot of one document holds: whose embedding, of which text."""

    generation: int
    #: `digest` of the rendered input that was embedded.
    digest: str
    #: Fencing number of the lease under which it was written.
    fencing: int
    #: `vector_check` of the vector that was written; empty without one and in old stamps.
    check: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document as read from, or written to, an index."""

    document_id: str
    fields: Mapping[str, object]
    version: Version | None = None
    routing: str | None = None
    #: Stamp of each slot that has one, by slot name.
    stamps: Mapping[str, Stamp] = field(default_factory=lambda: MappingProxyType({}))
    #: Embedding of each slot that was asked for and is present, by slot name.
    embeddings: Mapping[str, Vector] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingWrite:
    """One guarded write of one slot of one document."""

    document_id: str
    #: The version that was read; the write loses if the document has moved on.
    version: Version
    #: None where the rendered input is empty: then only the stamp is written.
    vector: Vector | None
    stamp: Stamp
    routing: str | None = None


class Outcome(StrEnum):
    """What became of one guarded write."""

    #: The slot holds the vector and its stamp.
    WRITTEN = "written"
    #: The document changed since it was read; read it again.
    CHANGED = "changed"
    #: The document was deleted; nothing to do.
    GONE = "gone"
    #: The engine refuses this item for good.
    REJECTED = "rejected"
    #: The engine is too busy; try again later.
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteResult:
    """The outcome of one write and the engine's reason where it was not written."""

    document_id: str
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTemplate:
    """The fields of a document rendered into one input, in order."""

    fields: tuple[str, ...]
    separator: str = ". "

    def render(self, fields: Mapping[str, object]) -> str:
        """Join the fields that hold text; empty when none does."""
        texts = (_as_text(fields.get(name)) for name in self.fields)
        return self.separator.join(text for text in texts if text)


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(filter(None, (_as_text(part) for part in value)))
    return " ".join(str(value).split())


def digest(text: str) -> str:
    """SHA-256 of a rendered input, hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
