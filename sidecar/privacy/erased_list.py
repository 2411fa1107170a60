"""Who and what was erased, as digests: so that the click log does not bring it back.

The log is not ours to erase from, and it is read again when its settings change.
"""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import orjson

from desireline.sidecar.errors import SidecarError
from desireline.sidecar.privacy.keyed_digests import KeyedDigests
from desireline.trainer.query_text import normalise

CLIENT, QUERY = "client", "query"


class ErasedList:
    """One line an erasure, never the name or the text itself. Processes may share the file.

    What an erased client did before the erasure stays out; what the same client does later is
    kept again. An erased query stays out for good.
    """

    def __init__(self, file: Path, digests: KeyedDigests) -> None:
        self._file = file
        self._digests = digests
        self._seen = (0, 0)
        self._clients: dict[bytes, datetime] = {}
        self._queries: set[bytes] = set()

    def add(self, what: str, text: str, at: datetime) -> None:
        """Bar a client's events up to a time, or a query; durable on return."""
        line = {"what": what, "digest": self._digest(what, text).hex(), "at": at.isoformat()}
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            with os.fdopen(os.open(self._file, flags, 0o600), "ab") as file:
                file.write(orjson.dumps(line) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._broken(error) from error

    def look_again(self) -> bool:
        """Read what other processes added; say whether anything is barred at all."""
        try:
            found = self._file.stat()
            now = (found.st_mtime_ns, found.st_size)
        except FileNotFoundError:
            now = (0, 0)
        if now != self._seen:
            self._read()
            self._seen = now
        return bool(self._clients or self._queries)

    def bars_client(self, client: str, at: datetime) -> bool:
        """Whether an event of this client at this time was erased; as of the last look."""
        if not self._clients or not client:
            return False
        until = self._clients.get(self._digest(CLIENT, client))
        return until is not None and at <= until

    def bars_query(self, text: str) -> bool:
        """Whether this query was erased; as of the last look."""
        return bool(self._queries) and self._digest(QUERY, text) in self._queries

    def _digest(self, what: str, text: str) -> bytes:
        return self._digests.of(what, normalise(text) if what == QUERY else text)

    def _read(self) -> None:
        clients: dict[bytes, datetime] = {}
        queries: set[bytes] = set()
        for line in self._lines():
            digest, at = bytes.fromhex(line["digest"]), datetime.fromisoformat(line["at"])
            if line["what"] == QUERY:
                queries.add(digest)
            else:
                clients[digest] = max(at, clients.get(digest, at))
        self._clients, self._queries = clients, queries

    def _lines(self) -> Iterator[dict[str, str]]:
        """Yield the whole lines; one that a crash cut short was not acknowledged."""
        try:
            written = self._file.read_bytes() if self._file.exists() else b""
            yield from map(orjson.loads, written.splitlines(keepends=True)[: written.count(b"\n")])
        except (OSError, ValueError) as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> SidecarError:
        return SidecarError(
            f"the list of what was erased, {self._file}, cannot be used: {error};"
            " no event was kept, for it might be one of those",
            next_step="mend the file: one JSON object a line",
        )
