"""One index: its shards, settings, mapping and what a single item does to a document."""

import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulated_shard import Answer, Change, Decide, Operation, Row, Shard

from desireline.connectors.engines.source import look_up, merge

_CONFLICT = "version_conflict_engine_exception"


@dataclass(slots=True)
class Index:
    """An index by name; made again, it has another uuid."""

    name: str
    uuid: str
    settings: dict[str, str]
    mapping: dict[str, Any]
    shards: list[Shard]
    aliases: dict[str, dict[str, Any]] = field(default_factory=dict)

    def shard_of(self, document_id: str, routing: str | None) -> Shard:
        key = (document_id if routing is None else routing).encode()
        return self.shards[zlib.crc32(key) % len(self.shards)]

    def blocked(self) -> bool:
        return str(self.settings.get("index.blocks.write", "false")).lower() == "true"

    def unfit(self, source: Mapping[str, Any]) -> str:
        """Say why the mapping refuses a document; empty when it takes it."""
        for name, definition in self.mapping.get("properties", {}).items():
            value = look_up(source, name)
            if definition.get("type") != "knn_vector" or value is None:
                continue
            if not isinstance(value, list) or not all(_is_number(part) for part in value):
                return f"failed to parse field [{name}] of type [knn_vector]"
            if len(value) != definition["dimension"]:
                wanted = definition["dimension"]
                return f"Vector dimension mismatch. Expected: {wanted}, Given: {len(value)}"
        return ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def operation(
    index: Index, kind: str, action: Mapping[str, Any], body: Mapping[str, Any], origin: str
) -> Operation:
    """Return one bulk item, or one request about a single document, as it meets the shard."""
    decide: Decide = {
        "index": lambda row: _index(index, action, body, row),
        "create": lambda row: _create(index, action, body, row),
        "update": lambda row: _update(index, action, body, row),
        "delete": lambda row: _delete(action, row),
    }[kind]
    return Operation(action["_id"], decide, origin)


def _present(row: Row | None) -> bool:
    return row is not None and row.source is not None


def _refusal(action: Mapping[str, Any], row: Row | None) -> Answer | None:
    """Compare the guard of an item with the document as it is."""
    wanted = int(action.get("if_seq_no", -2)), int(action.get("if_primary_term", 0))
    if wanted != (-2, 0):
        found = (row.seq_no, row.term) if row is not None and row.source is not None else None
        if found != wanted:
            reason = f"[{action['_id']}]: version conflict, required seqNo [{wanted[0]}]"
            return Answer(409, kind=_CONFLICT, reason=reason)
    how = action.get("version_type", "internal")
    if how != "internal":
        current = 0 if row is None else row.version
        given = int(action["version"])
        if row is not None and (given < current or (given == current and how == "external")):
            reason = f"[{action['_id']}]: version conflict, current version [{current}]"
            return Answer(409, kind=_CONFLICT, reason=reason)
    return None


def _version(action: Mapping[str, Any], row: Row | None) -> int:
    if action.get("version_type", "internal") != "internal":
        return int(action["version"])
    return 1 if row is None else row.version + 1


def _written(
    index: Index, action: Mapping[str, Any], source: Mapping[str, Any], row: Row | None
) -> Change | Answer:
    reason = index.unfit(source)
    if reason:
        return Answer(400, kind="mapper_parsing_exception", reason=reason)
    created = not _present(row)
    status, result = (201, "created") if created else (200, "updated")
    return Change(source, _version(action, row), action.get("routing"), status, result)


def _index(
    index: Index, action: Mapping[str, Any], body: Mapping[str, Any], row: Row | None
) -> Change | Answer:
    return _refusal(action, row) or _written(index, action, body, row)


def _create(
    index: Index, action: Mapping[str, Any], body: Mapping[str, Any], row: Row | None
) -> Change | Answer:
    if _present(row):
        reason = f"[{action['_id']}]: version conflict, document already exists"
        return Answer(409, kind=_CONFLICT, reason=reason)
    return _written(index, action, body, row)


def _update(
    index: Index, action: Mapping[str, Any], body: Mapping[str, Any], row: Row | None
) -> Change | Answer:
    if row is None or row.source is None:
        reason = f"[{action['_id']}]: document missing"
        return Answer(404, kind="document_missing_exception", reason=reason)
    refusal = _refusal(action, row)
    if refusal is not None:
        return refusal
    merged = merge(row.source, body["doc"])
    if merged == row.source:
        return Answer(200, row, "noop")
    return _written(index, {**action, "routing": row.routing}, merged, row)


def _delete(action: Mapping[str, Any], row: Row | None) -> Change | Answer:
    refusal = _refusal(action, row)
    if refusal is not None:
        return refusal
    status, result = (200, "deleted") if _present(row) else (404, "not_found")
    # A tombstone is written either way: it keeps late copies of older versions out.
    return Change(None, _version(action, row), action.get("routing"), status, result)


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield settings by their dotted name, each beginning with `index.`."""
    for name, value in settings.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{key}.")
        else:
            word = str(value).lower() if isinstance(value, bool) else str(value)
            yield (key if key.startswith("index.") else f"index.{key}"), word


def new_shards(settings: Mapping[str, str], now: Callable[[], float]) -> list[Shard]:
    """Return the empty shards of an index with these settings."""
    kept_s = settings.get("index.gc_deletes", "60s")
    seconds = float(kept_s[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[kept_s[-1]]
    count = int(settings.get("index.number_of_shards", "1"))
    return [Shard(now=now, gc_deletes_s=seconds) for _ in range(count)]
