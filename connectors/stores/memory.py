"""Records in this process's memory, for tests and dry runs; gone when it ends."""

import itertools
import threading
from collections.abc import Mapping
from typing import Any

import orjson

from desireline.connectors.errors import StateConflictError
from desireline.connectors.state_store import Record


class MemoryStore:
    """A StateStore over a dict. Several threads may share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._versions = itertools.count(1)
        self._records: dict[tuple[str, str], tuple[str, bytes]] = {}

    def get(self, kind: str, key: str) -> Record | None:
        """Return the record as last written by anyone, or None."""
        with self._lock:
            stored = self._records.get((kind, key))
        return None if stored is None else _record(kind, key, stored)

    def put(
        self, kind: str, key: str, body: Mapping[str, Any], *, expected: Record | None
    ) -> Record:
        """Replace `expected`, or create when it is None.

        Raises:
            StateConflictError: somebody else wrote first; nothing was written.

        """
        # Serialised on the way in, so later changes of `body` cannot reach the record.
        data = orjson.dumps(dict(body))
        with self._lock:
            self._require(kind, key, expected)
            stored = (str(next(self._versions)), data)
            self._records[kind, key] = stored
        return _record(kind, key, stored)

    def list(self, kind: str) -> list[Record]:
        """Return every record of a kind, by key."""
        with self._lock:
            found = sorted(item for item in self._records.items() if item[0][0] == kind)
        return [_record(kind, key, stored) for (_, key), stored in found]

    def delete(self, record: Record) -> None:
        """Delete the record if it is unchanged.

        Raises:
            StateConflictError: it changed since it was read.

        """
        with self._lock:
            self._require(record.kind, record.key, record)
            del self._records[record.kind, record.key]

    def close(self) -> None:
        """Keep everything: the records live as long as the store."""

    def _require(self, kind: str, key: str, expected: Record | None) -> None:
        stored = self._records.get((kind, key))
        if (stored and stored[0]) != (expected and expected.version):
            raise StateConflictError(
                f"the {kind} record {key!r} changed since it was read; nothing was written",
                next_step="read it again and decide anew",
            )


def _record(kind: str, key: str, stored: tuple[str, bytes]) -> Record:
    version, data = stored
    return Record(kind=kind, key=key, body=orjson.loads(data), version=version)
