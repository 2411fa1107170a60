"""Port: small records changed by compare-and-set; all that must outlive a crash."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record and the version that the next write must name."""

    kind: str
    key: str
    body: Mapping[str, Any]
    version: str


class StateStore(Protocol):
    """Compare-and-set records by kind and key. Bodies are JSON objects."""

    def get(self, kind: str, key: str) -> Record | None:
        """Return the record as last written by anyone, or None."""
        ...

    def put(
        self, kind: str, key: str, body: Mapping[str, Any], *, expected: Record | None
    ) -> Record:
        """Replace `expected`, or create when it is None; durable on return.

        Raises:
            StateConflictError: somebody else wrote first; nothing was written.

        """
        ...

    def list(self, kind: str) -> list[Record]:
        """Return every record of a kind, by key."""
        ...

    def delete(self, record: Record) -> None:
        """Delete the record if it is unchanged.

        Raises:
            StateConflictError: it changed since it was read.

        """
        ...

    def close(self) -> None:
        """Release files and connections."""
        ...
