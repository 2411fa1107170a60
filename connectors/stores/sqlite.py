"""Records in one SQLite file: the store of the embedded engine, durable and shared."""

import sqlite3
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from desireline.connectors.errors import (
    ConnectorError,
    StateConflictError,
    StateUnavailableError,
    WriteBlockedError,
)
from desireline.connectors.state_store import Record

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, version TEXT NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID
"""


class SqliteStore:
    """A StateStore in a file. Threads may share one; processes may open the same file.

    Write-ahead log, `synchronous = FULL`: a put that returned survives a power cut. A
    version is never used twice, so a record that was deleted and made again is not
    mistaken for the old one. A lock held by another process is waited for, up to
    `busy_seconds`.
    """

    def __init__(self, path: str | Path, *, busy_seconds: float = 10.0) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        with self._translated("open"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self._path, timeout=busy_seconds, isolation_level=None, check_same_thread=False
            )
            self._prepare()

    def _prepare(self) -> None:
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(_SCHEMA)
        except sqlite3.Error:
            self._connection.close()
            raise

    def get(self, kind: str, key: str) -> Record | None:
        """Return the record as last written by anyone, or None."""
        sql = "SELECT body, version FROM records WHERE kind = ? AND key = ?"
        with self._lock, self._translated("read"):
            row = self._connection.execute(sql, (kind, key)).fetchone()
        return row and Record(kind=kind, key=key, body=orjson.loads(row[0]), version=row[1])

    def put(
        self, kind: str, key: str, body: Mapping[str, Any], *, expected: Record | None
    ) -> Record:
        """Replace `expected`, or create when it is None; durable on return.

        Raises:
            StateConflictError: somebody else wrote first; nothing was written.
            StateUnavailableError: the file is locked, damaged or cannot be opened.
            WriteBlockedError: the disk is full or the file is read-only.

        """
        data, version = orjson.dumps(dict(body)), uuid.uuid4().hex
        if expected is None:
            sql = "INSERT OR IGNORE INTO records (body, version, kind, key) VALUES (?, ?, ?, ?)"
            self._change(sql, (data, version, kind, key), kind, key)
        else:
            sql = (
                "UPDATE records SET body = ?, version = ? WHERE kind = ? AND key = ? "
                "AND version = ?"
            )
            self._change(sql, (data, version, kind, key, expected.version), kind, key)
        return Record(kind=kind, key=key, body=orjson.loads(data), version=version)

    def list(self, kind: str) -> list[Record]:
        """Return every record of a kind, by key."""
        sql = "SELECT key, body, version FROM records WHERE kind = ? ORDER BY key"
        with self._lock, self._translated("read"):
            rows = self._connection.execute(sql, (kind,)).fetchall()
        return [
            Record(kind=kind, key=key, body=orjson.loads(body), version=version)
            for key, body, version in rows
        ]

    def delete(self, record: Record) -> None:
        """Delete the record if it is unchanged.

        Raises:
            StateConflictError: it changed since it was read.

        """
        sql = "DELETE FROM records WHERE kind = ? AND key = ? AND version = ?"
        self._change(sql, (record.kind, record.key, record.version), record.kind, record.key)

    def close(self) -> None:
        """Close the file; safe to repeat."""
        with self._lock:
            self._connection.close()

    def _change(self, sql: str, values: tuple[object, ...], kind: str, key: str) -> None:
        """Run the one statement that both compares and sets."""
        with self._lock, self._translated("write"):
            changed = self._connection.execute(sql, values).rowcount
        if changed != 1:
            raise StateConflictError(
                f"the {kind} record {key!r} changed since it was read; nothing was written",
                next_step="read it again and decide anew",
            )

    @contextmanager
    def _translated(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise _translate(error, self._path, verb) from error


def _translate(error: sqlite3.Error | OSError, path: Path, verb: str) -> ConnectorError:
    name = getattr(error, "sqlite_errorname", "")
    place = f"cannot {verb} the state file {path}"
    if name.startswith(("SQLITE_FULL", "SQLITE_READONLY")):
        cause = "the disk is full" if name.startswith("SQLITE_FULL") else "it is read-only"
        return WriteBlockedError(
            f"{place}: {cause}; its records are as they were",
            next_step="make room or give write permission, then run the same command again",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StateUnavailableError(
            f"{place}: another process holds its lock; nothing was written",
            next_step="wait for the other desireline process to end, or stop it",
        )
    return StateUnavailableError(
        f"{place}: {error}; nothing was written",
        next_step="check that the folder exists and the file is an undamaged SQLite database",
    )
