"""Generation indexes in memory, with the same hooks for faults and races as the rest."""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from desireline.connectors.documents import WriteResult
from desireline.connectors.engines.memory_index import MemoryIndex
from desireline.connectors.errors import MappingConflictError, StateConflictError, WriteBlockedError
from desireline.connectors.generation_indexes import (
    AliasState,
    CopyDelete,
    CopyWrite,
    DocumentKey,
    IndexLabel,
    IndexOverrides,
    Versions,
    WholeDocument,
)
from desireline.connectors.search_engine import Fence, Slot

_OWNER = re.compile(r".+-Owner-\d+")


class MemoryGenerations:
    """GenerationIndexes over dicts; part of MemoryEngine. One shard, one index an alias."""

    _lock: threading.RLock
    _indexes: dict[str, MemoryIndex]
    _aliases: dict[str, str]
    _tickets: dict[str, str]
    #: Names by which copies may be written, each with its index.
    _owners: dict[str, str]

    def _about_to(self, method: str, index: str) -> None:
        raise NotImplementedError

    def _index(self, index: str) -> MemoryIndex:
        raise NotImplementedError

    def add_alias(self, alias: str, index: str) -> None:
        """Be the application: let the alias name the index."""
        with self._lock:
            self._index(index)
            self._aliases[alias] = index

    def alias_state(self, name: str) -> AliasState:
        """Say what the name stands for."""
        self._about_to("alias_state", name)
        with self._lock:
            self._index(name)
            return AliasState(index=self._aliases.get(name, name), is_alias=name in self._aliases)

    def copy_obstacles(self, index: str, overrides: IndexOverrides) -> tuple[str, ...]:
        """Say why a copy would not be the same: here only where another block is on."""
        self._about_to("copy_obstacles", index)
        del overrides
        with self._lock:
            blocked = self._index(index).blocked
        return (f"{index} is blocked, which is not ours to take away",) if blocked else ()

    def versions_of(self, index: str) -> Versions:
        """Say who numbers the documents, from the label or else from every document."""
        self._about_to("versions_of", index)
        with self._lock:
            held = self._index(index)
            if held.label is not None:
                return held.label.versions
            counted = held.last_seq_no + 1
            beyond = any(row.version > counted for row in held.rows.values())
            return "external" if beyond else "sequence"

    def label(self, index: str) -> IndexLabel | None:
        """Return what the index says about itself."""
        self._about_to("label", index)
        with self._lock:
            return self._index(index).label

    def put_label(self, index: str, label: IndexLabel) -> None:
        """Label an index that holds copies."""
        self._about_to("put_label", index)
        with self._lock:
            self._index(index).label = label

    def create_generation_index(
        self, source: str, name: str, slot: Slot, label: IndexLabel, overrides: IndexOverrides
    ) -> None:
        """Create an empty index like the source, with the slot; safe to repeat."""
        self._about_to("create_generation_index", name)
        del overrides
        with self._lock:
            held = self._indexes.get(name)
            if held is None:
                held = self._indexes[name] = MemoryIndex(self._index(source).text_fields)
                held.label = label
            elif held.label != label:
                raise MappingConflictError(
                    f"an index {name!r} exists already and is not the one of generation"
                    f" {label.generation}; it was left as it is",
                    next_step="look whose it is; delete it if nobody's, then run again",
                )
            held.add_slot(slot)

    def read_whole(
        self, index: str, since: Fence, until: Fence, batch_size: int
    ) -> Iterator[list[WholeDocument]]:
        """Read documents written after `since` up to `until`, in order of writes."""
        self._about_to("read_whole", index)
        with self._lock:
            held = self._index(index)
            first = since.positions.get(held.shard, -1)
            last = until.positions.get(held.shard, -1)
            found = [
                held.whole(key) for key, row in held.rows.items() if first < row.seq_no <= last
            ]
        found.sort(key=lambda document: document.seq_no)
        for start in range(0, len(found), batch_size):
            yield found[start : start + batch_size]

    def fetch_whole(self, index: str, keys: Sequence[DocumentKey]) -> list[WholeDocument]:
        """Read these documents as they are now; those that are gone are left out."""
        self._about_to("fetch_whole", index)
        with self._lock:
            held = self._index(index)
            return [held.whole(k.document_id) for k in keys if k.document_id in held.rows]

    def document_keys(self, index: str, batch_size: int) -> Iterator[list[DocumentKey]]:
        """List every document."""
        self._about_to("document_keys", index)
        with self._lock:
            keys = [
                DocumentKey(document_id=key, routing=row.routing, number=row.version)
                for key, row in self._index(index).rows.items()
            ]
        for start in range(0, len(keys), batch_size):
            yield keys[start : start + batch_size]

    def absent(self, index: str, keys: Sequence[DocumentKey]) -> list[DocumentKey]:
        """Return those that the index does not hold at this moment."""
        self._about_to("absent", index)
        with self._lock:
            held = self._index(index)
            return [key for key in keys if key.document_id not in held.rows]

    def own_copies(self, index: str, owner: int) -> str:
        """Return the name by which this owner writes copies; a name given out before is void."""
        self._about_to("own_copies", index)
        name = f"{index}-Owner-{owner}"
        with self._lock:
            self._void_owners(index)
            self._owners[name] = index
        return name

    def _void_owners(self, index: str) -> None:
        self._owners = {name: held for name, held in self._owners.items() if held != index}

    def _owned(self, name: str) -> str:
        """Return the index that an owner's name, or its own, stands for."""
        if name in self._owners or not _OWNER.fullmatch(name):
            return self._owners.get(name, name)
        raise StateConflictError(
            f"{name!r} may write no more copies: another owner goes on with them, or they serve"
            " by now; nothing was written",
            next_step="run the command again: it resumes what is left",
        )

    def write_copies(self, index: str, slot: str, writes: Sequence[CopyWrite]) -> list[WriteResult]:
        """Write whole documents; CHANGED where a higher version was met."""
        self._about_to("write_copies", index)
        with self._lock:
            held = self._writable(self._owned(index))
            return [held.write_copy(held.slot(slot), write) for write in writes]

    def delete_copies(self, index: str, deletes: Sequence[CopyDelete]) -> list[WriteResult]:
        """Delete copies; CHANGED where a higher version was met."""
        self._about_to("delete_copies", index)
        with self._lock:
            held = self._writable(self._owned(index))
            return [held.delete_copy(delete) for delete in deletes]

    def count(self, index: str) -> int:
        """Count the documents."""
        self._about_to("count", index)
        with self._lock:
            return len(self._index(index).rows)

    def is_blocked(self, index: str) -> bool:
        """Whether the index takes no writes."""
        self._about_to("is_blocked", index)
        with self._lock:
            return self._index(index).blocked

    def block_writes(self, index: str, ticket: str | None = None) -> None:
        """Take no more writes from here on."""
        self._about_to("block_writes", index)
        with self._lock:
            if ticket is not None:
                self._tickets[ticket] = index
            self._index(index).blocked = True

    def void_tickets(self, index: str) -> None:
        """Take tickets and owners' names away: a swap that is about to happen cannot any more."""
        self._about_to("void_tickets", index)
        with self._lock:
            self._void_owners(index)
            self._tickets = {t: held for t, held in self._tickets.items() if held != index}

    def unblock_writes(self, index: str) -> None:
        """Take its tickets away, then let writes in again; safe to repeat."""
        self.void_tickets(index)
        self._about_to("unblock_writes", index)
        with self._lock:
            self._index(index).blocked = False

    def swap_alias(self, alias: str, expected: str, new: str, ticket: str) -> None:
        """Move the alias, and every other one of the expected index, in one step."""
        self._about_to("swap_alias", alias)
        with self._lock:
            self._index(new)
            if self._aliases.get(alias) != expected or self._tickets.pop(ticket, "") != expected:
                raise StateConflictError(
                    f"the alias {alias!r} no longer points to {expected!r}, or writes to it were"
                    " let in again; nothing was swapped",
                    next_step="look at `desireline generations`, then run the command again",
                )
            self._void_owners(new)
            for name, index in self._aliases.items():
                if index == expected:
                    self._aliases[name] = new

    def end_of_build(self, index: str) -> None:
        """Nothing differs here while an index is built."""
        self._about_to("end_of_build", index)

    def drop_generation_index(self, index: str) -> None:
        """Delete an index that desireline made and no alias names."""
        self._about_to("drop_generation_index", index)
        with self._lock:
            held = self._indexes.get(index)
            if held is None:
                return
            if held.label is None or not held.label.ours or index in self._aliases.values():
                raise MappingConflictError(
                    f"the index {index!r} was not deleted: an alias names it, or desireline did"
                    " not make it",
                    next_step="delete it by hand if nothing needs it",
                )
            del self._indexes[index]

    def reconnection(self) -> Mapping[str, Any] | None:
        """No other process can reach this memory."""
        return None

    def _writable(self, index: str) -> MemoryIndex:
        held = self._index(index)
        if held.blocked:
            raise WriteBlockedError(
                f"{index} takes no writes at present: it is blocked; nothing was written",
                next_step="remove the block, then run again",
            )
        return held
