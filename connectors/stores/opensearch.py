"""Records in an index of the cluster, seen by every sidecar on it."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from desireline.connectors.documents import digest
from desireline.connectors.errors import ConnectorError, StateConflictError
from desireline.connectors.opensearch_client import Cluster, OpenSearchSettings, path
from desireline.connectors.opensearch_shards import refresh, require_every_shard
from desireline.connectors.state_store import Record

_PAGE = 500
_INDEX = {
    "settings": {"index.hidden": True, "number_of_shards": 1, "auto_expand_replicas": "0-1"},
    "mappings": {
        "dynamic": False,
        "properties": {
            "kind": {"type": "keyword"},
            "key": {"type": "keyword"},
            "body": {"type": "object", "enabled": False},
        },
    },
}


class OpenSearchStore:
    """A StateStore in the hidden index ``.desireline-<suffix>``, made at the first write.

    A record is one document; its version is the document's sequence number and primary term.
    Reads of one record are realtime. OpenSearch syncs its log before it answers a write.
    """

    def __init__(self, settings: OpenSearchSettings, suffix: str = "state") -> None:
        self._cluster = Cluster(settings)
        self._index = f".desireline-{suffix}"
        self._exists = False

    def get(self, kind: str, key: str) -> Record | None:
        """Return the record as last written by anyone, or None."""
        found = self._read(kind, key)
        return None if found is None else _record(found)

    def put(
        self, kind: str, key: str, body: Mapping[str, Any], *, expected: Record | None
    ) -> Record:
        """Replace `expected`, or create when it is None; durable on return.

        Raises:
            StateConflictError: somebody else wrote first; nothing was written.

        """
        self._make_index()
        writing = uuid.uuid4().hex
        source = {"kind": kind, "key": key, "writing": writing, "body": dict(body)}
        operation, guard = ("_doc", _guard(expected)) if expected else ("_create", {})
        try:
            answer = self._cluster.call(
                "PUT", path(self._index, operation, _id(kind, key)), params=guard, body=source
            )
        except StateConflictError as error:
            return self._own_or_conflict(kind, key, writing, error)
        return _record({**answer, "_source": source})

    def list(self, kind: str) -> list[Record]:
        """Return every record of a kind, by key."""
        if self._cluster.call("GET", path(self._index, "_mapping"), absent_ok=True) is None:
            return []
        refresh(self._cluster, self._index)
        records: list[Record] = []
        body: dict[str, Any] = {
            "size": _PAGE,
            "query": {"term": {"kind": kind}},
            "sort": [{"key": "asc"}],
            "seq_no_primary_term": True,
        }
        while True:
            hits = self._search(body)
            records += map(_record, hits)
            if len(hits) < _PAGE:
                return records
            body["search_after"] = hits[-1]["sort"]

    def delete(self, record: Record) -> None:
        """Delete the record if it is unchanged.

        Raises:
            StateConflictError: it changed since it was read.

        """
        answer = self._cluster.call(
            "DELETE",
            path(self._index, "_doc", _id(record.kind, record.key)),
            params=_guard(record),
            absent_ok=True,
        )
        if answer is None:
            raise _conflict(record.kind, record.key)

    def close(self) -> None:
        """Release connections."""
        self._cluster.close()

    def _own_or_conflict(
        self, kind: str, key: str, writing: str, error: StateConflictError
    ) -> Record:
        """Tell a lost race from our own write that was sent again and met itself."""
        found = self._read(kind, key)
        if found is not None and found["_source"].get("writing") == writing:
            return _record(found)
        raise _conflict(kind, key) from error

    def _read(self, kind: str, key: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._cluster.call(
            "GET",
            path(self._index, "_doc", _id(kind, key)),
            params={"preference": "_primary"},
            absent_ok=True,
        )
        return found

    def _search(self, body: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
        answer = self._cluster.call(
            "POST",
            path(self._index, "_search"),
            params={"preference": "_primary", "allow_partial_search_results": "false"},
            body=body,
        )
        require_every_shard(answer, self._index)
        hits: Sequence[dict[str, Any]] = answer["hits"]["hits"]
        return hits

    def _make_index(self) -> None:
        """Create the index with its own mapping before a write would let it be guessed."""
        if self._exists:
            return
        if self._cluster.call("GET", path(self._index, "_mapping"), absent_ok=True) is None:
            try:
                self._cluster.call("PUT", path(self._index), body=_INDEX)
            except ConnectorError as error:
                if "already exists" not in str(error):
                    raise
        self._exists = True


def _id(kind: str, key: str) -> str:
    """Return an id of bounded length that no two records share."""
    return digest(f"{len(kind)}:{kind}{key}")


def _guard(record: Record) -> dict[str, str]:
    seq_no, _, primary_term = record.version.partition(":")
    return {"if_seq_no": seq_no, "if_primary_term": primary_term}


def _record(found: Mapping[str, Any]) -> Record:
    source = found["_source"]
    return Record(
        kind=source["kind"],
        key=source["key"],
        body=source["body"],
        version=f"{found['_seq_no']}:{found['_primary_term']}",
    )


def _conflict(kind: str, key: str) -> StateConflictError:
    return StateConflictError(
        f"the {kind} record {key!r} changed since it was read; nothing was written",
        next_step="read it again and decide anew",
    )
