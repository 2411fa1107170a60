"""Port: a search engine that can build an index beside another and swap an alias between them.

An engine offers it beside `SearchEngine` where a new index is a way to embed again: a copy of
every document with its vector in an index of its own, brought up to date, then swapped in.

The version of each copy decides which of two writes of a document wins, whoever sends them and
in whatever order they arrive:

- `sequence`: the application leaves versions to the engine. A copy's version is the fencing
  number of the lease above the position of the document's last write in its shard. A position
  grows through deletes and re-creations, unlike the document's own version, and a former owner's
  late write loses to everything that the next one wrote.
- `external`: the application numbers its documents itself. A copy keeps the number, so the
  application's next write is judged as it would have been.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol, runtime_checkable

from desireline.connectors.documents import Stamp, Vector, WriteResult
from desireline.connectors.search_engine import Fence, Slot

Versions = Literal["sequence", "external"]

_POSITION_BITS = 40
_POSITIONS = (1 << _POSITION_BITS) - 1
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def sequence_version(fencing: int, seq_no: int) -> int:
    """Return the version of a copy: of two owners the later wins, of two writes the newer.

    Room for 8 million owners and 10^12 writes of one shard within OpenSearch's 63 bits.
    """
    if not 0 <= seq_no <= _POSITIONS:
        raise OverflowError(f"position {seq_no} does not fit into a version")
    return (fencing << _POSITION_BITS) | seq_no


def after(version: int, fencing: int) -> int:
    """Return the version of a delete that beats a copy of this version, but no later write.

    Only in a copy of this owner is the number a position of the source, which a document that is
    created again has behind it. In any other (of a former owner, the engine's own count, either
    counted up by the application) it may be far ahead of the source's positions; it is beaten by
    the fencing number alone.
    """
    own = version >> _POSITION_BITS == fencing
    return sequence_version(fencing, (version & _POSITIONS) + 1 if own else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexLabel:
    """What an index says about itself, so that whoever meets it knows whose it is."""

    target: str
    #: None: an index of the user's that copies were written back to; never dropped by us.
    generation: int | None
    copied_from: str
    versions: Versions

    @property
    def ours(self) -> bool:
        """Whether desireline made the index, so that it may drop it."""
        return self.generation is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOverrides:
    """In what the new index differs from the one it is copied from."""

    #: Index settings, flat; `index.` may be left out: `{"number_of_shards": 3}`.
    settings: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    #: Merged into the mapping: `{"properties": {"title": {"type": "text", …}}}`.
    mappings: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasState:
    """What a name stands for."""

    index: str
    #: False where the name is the index's own.
    is_alias: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentKey:
    """A document and the version it has."""

    document_id: str
    routing: str | None
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeDocument:
    """All of a document but desireline's own slots."""

    document_id: str
    routing: str | None
    source: Mapping[str, object]
    #: The engine's version number, `_version`.
    number: int
    seq_no: int
    #: The shard it was read from, as a fence names it.
    shard: str
    #: Stamps of desireline's slots, by slot name.
    stamps: Mapping[str, Stamp] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyWrite:
    """One whole document with its vector, written over any copy of the same or a lower version."""

    document_id: str
    routing: str | None
    source: Mapping[str, object]
    version: int
    #: None where the rendered input is empty: then only the stamp is written.
    vector: Vector | None
    #: None where the engine refused the vector: the document is copied, and counts as failed.
    stamp: Stamp | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyDelete:
    """One copy removed, unless it has a higher version."""

    document_id: str
    routing: str | None
    version: int


@runtime_checkable
class GenerationIndexes(Protocol):
    """What the new-index way needs of an engine. Every method may raise a ConnectorError."""

    def alias_state(self, name: str) -> AliasState:
        """Say what the name stands for.

        Raises:
            IndexMissingError: for nothing.
            MappingConflictError: for several indexes.

        """
        ...

    def copy_obstacles(self, index: str, overrides: IndexOverrides) -> tuple[str, ...]:
        """Say, one sentence each, why a copy would not be the same; empty when it would."""
        ...

    def versions_of(self, index: str) -> Versions:
        """Say who numbers the documents, from the index's label or else from every document.

        A document whose version is higher than its shard ever counted writes proves that the
        application numbers them; an application whose numbers are small cannot be told.
        """
        ...

    def label(self, index: str) -> IndexLabel | None:
        """Return what the index says about itself; None where it is not labelled."""
        ...

    def put_label(self, index: str, label: IndexLabel) -> None:
        """Label an index that holds copies; what else it says about itself stays."""
        ...

    def create_generation_index(
        self, source: str, name: str, slot: Slot, label: IndexLabel, overrides: IndexOverrides
    ) -> None:
        """Create an empty index like the source, with the slot; safe to repeat.

        Slots of the source are left out. Tombstones outlive the longest build.

        Raises:
            MappingConflictError: an index of that name exists and is not this one.

        """
        ...

    def read_whole(
        self, index: str, since: Fence, until: Fence, batch_size: int
    ) -> Iterator[list[WholeDocument]]:
        """Read documents written after `since` up to `until`, in order of writes per shard."""
        ...

    def fetch_whole(self, index: str, keys: Sequence[DocumentKey]) -> list[WholeDocument]:
        """Read these documents as they are now, written a moment ago or not.

        Their order is free; those that are gone are left out; `shard` is empty.
        """
        ...

    def document_keys(self, index: str, batch_size: int) -> Iterator[list[DocumentKey]]:
        """List every document, by an enumeration that `read_whole` has no part in."""
        ...

    def absent(self, index: str, keys: Sequence[DocumentKey]) -> list[DocumentKey]:
        """Return those that the index does not hold at this moment."""
        ...

    def own_copies(self, index: str, owner: int) -> str:
        """Return the name by which this owner writes copies; a name given out before is void.

        A former owner that was paused before a write would otherwise bring back what was deleted
        before its copy ever arrived: no tombstone keeps that out. `swap_alias` voids the name, too,
        so that no copy that is still under way reaches an index that serves.
        """
        ...

    def write_copies(self, index: str, slot: str, writes: Sequence[CopyWrite]) -> list[WriteResult]:
        """Write whole documents, in the order given; CHANGED where a higher version was met.

        No pipeline of the index runs on them.

        Args:
            index: the name that `own_copies` gave.
            slot: where the vectors go.
            writes: one a document.

        Raises:
            StateConflictError: the name is void; nothing was written.

        """
        ...

    def delete_copies(self, index: str, deletes: Sequence[CopyDelete]) -> list[WriteResult]:
        """Delete copies; CHANGED where a higher version was met. Raises as `write_copies` does."""
        ...

    def count(self, index: str) -> int:
        """Count the documents, all writes so far included."""
        ...

    def is_blocked(self, index: str) -> bool:
        """Whether the index takes no writes."""
        ...

    def block_writes(self, index: str, ticket: str | None = None) -> None:
        """Take no more writes; all that were under way have ended on return.

        Args:
            index: a concrete index.
            ticket: a name that `swap_alias` must find there, `…-ticket-<number>-<number>`.

        """
        ...

    def void_tickets(self, index: str) -> None:
        """Take the tickets away: a swap that is about to happen cannot any more.

        So go names by which copies were written.
        """
        ...

    def unblock_writes(self, index: str) -> None:
        """Take its tickets away, then let writes in again; safe to repeat."""
        ...

    def swap_alias(self, alias: str, expected: str, new: str, ticket: str) -> None:
        """Move the alias, and every other one of the expected index, in one step.

        Raises:
            StateConflictError: the alias points elsewhere or the ticket is gone; nothing changed.

        """
        ...

    def end_of_build(self, index: str) -> None:
        """Give the index the settings that only its build had otherwise; safe to repeat."""
        ...

    def drop_generation_index(self, index: str) -> None:
        """Delete an index that desireline made and no alias names; no error if it is missing.

        Raises:
            MappingConflictError: it is not labelled as ours, or an alias names it.

        """
        ...

    def reconnection(self) -> Mapping[str, Any] | None:
        """How another process reaches this engine, secrets included; None where none can."""
        ...
