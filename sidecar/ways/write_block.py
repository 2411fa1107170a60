"""What is written down about an index whose writes we hold up, before they are held up.

A block that outlives its run would stop the application for ever. So it is on record first; the
next start reads the record and takes the block away or finishes what it was put on for.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from desireline.connectors.errors import StateConflictError
from desireline.connectors.state_store import StateStore

WRITE_BLOCK = "write_block"


class Purpose(StrEnum):
    """Why writes to an index are held up, or are let in for us alone."""

    #: For the last catch-up before the alias moves away from it; a matter of seconds.
    SWAP = "swap"
    #: The alias has left it. Late writes fail loudly instead of getting lost.
    HOLD = "hold"
    #: It is brought up to date for a revert, so its block is off for a while.
    REVERT = "revert"


class WriteBlock(BaseModel):
    """One index with a block of ours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    index: str
    alias: str
    #: Where the alias points, or will.
    new_index: str
    #: The generation that is live once the alias points there.
    generation: int
    fencing: int
    purpose: Purpose
    #: Told when the pointer is written by a later start.
    reason: str = ""
    #: How long it stays where no generation in the index is retained.
    until: AwareDatetime | None = None


class WriteBlocks:
    """The blocks of one target, on record."""

    def __init__(self, store: StateStore, target: str) -> None:
        self._store = store
        self._target = target

    def all(self) -> list[WriteBlock]:
        """Return every block of the target."""
        records = self._store.list(WRITE_BLOCK)
        prefix = f"{self._target}:"
        return [_read(r.body) for r in records if r.key.startswith(prefix)]

    def of(self, index: str) -> WriteBlock | None:
        """Return the block of an index."""
        record = self._store.get(WRITE_BLOCK, self._key(index))
        return None if record is None else _read(record.body)

    def put(self, block: WriteBlock) -> None:
        """Put it down; durable on return."""
        while True:
            record = self._store.get(WRITE_BLOCK, self._key(block.index))
            if record is not None and int(record.body["fencing"]) > block.fencing:
                raise StateConflictError(
                    f"the block on {block.index!r} belongs to a later owner; nothing was changed"
                )
            try:
                self._store.put(
                    WRITE_BLOCK,
                    self._key(block.index),
                    block.model_dump(mode="json"),
                    expected=record,
                )
            except StateConflictError:
                continue
            return

    def remove(self, index: str) -> None:
        """Forget it, after the block is off."""
        while (record := self._store.get(WRITE_BLOCK, self._key(index))) is not None:
            try:
                self._store.delete(record)
            except StateConflictError:
                continue

    def _key(self, index: str) -> str:
        return f"{self._target}:{index}"


def _read(body: Mapping[str, Any]) -> WriteBlock:
    return WriteBlock.model_validate(dict(body))
