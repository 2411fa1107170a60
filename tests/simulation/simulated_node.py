"""A cluster in this process: the requests desireline sends, answered as OpenSearch 3.5 does.

Every request is a generator that yields wherever another request may run in between. Run to
its end at once it behaves like an idle cluster; advanced by a scheduler, like a busy one.
What is not known here is an UnknownCallError, never a guess.
"""

import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import orjson
from simulated_aliases import Params, RefusedError, Request, no_such_index
from simulated_catalog import Catalog
from simulated_index import Index, operation
from simulated_queries import UnknownCallError, filtered, search
from simulated_shard import Answer, Operation, PrimaryGoneError, Row, Shard

_FORBIDDEN = 403
_MISSING = 404


class SimulatedNode(Catalog):
    """Indexes, aliases and snapshots. Nothing of it is safe between threads at one time."""

    def request(
        self, method: str, path: str, params: Params, body: Any, origin: str = ""
    ) -> Request:
        """Answer one request. Raises RefusedError."""
        for verb, pattern, handler in _ROUTES:
            found = pattern.fullmatch(path) if verb == method else None
            if found:
                parts = [unquote(part) for part in found.groups() if part is not None]
                return handler(self, *parts, params=params, body=body, origin=origin)
        raise UnknownCallError(f"{method} {path}")

    # Reading.

    def open_snapshot(self, name: str, *, params: Params, body: Any, origin: str) -> Request:
        yield
        index = self.one(name)
        number = re.match(r"_shards:(\d+)", params.get("preference", ""))
        held = [index.shards[int(number[1])]] if number else index.shards
        pit = f"pit{next(self._ids)}"
        kept = [(shard, shard.term, shard.primary.visible) for shard in held]
        self._snapshots[pit] = index, kept
        return {"pit_id": pit}

    def close_snapshot(self, *, params: Params, body: Any, origin: str) -> Request:
        yield
        for pit in body["pit_id"]:
            self._snapshots.pop(pit, None)
        return {"pits": []}

    @property
    def open_snapshots(self) -> int:
        return len(self._snapshots)

    def search_snapshot(self, *, params: Params, body: Any, origin: str) -> Request:
        yield
        index, held = self._snapshots.get(body["pit"]["id"], (None, []))
        lost = index is None or self.indexes.get(index.name) is not index
        if lost or any(shard.term != term for shard, term, _ in held):
            raise RefusedError(404, "search_context_missing_exception", "No search context found")
        return search([row for *_, visible in held for row in visible.values()], body)

    def search(self, expression: str, *, params: Params, body: Any, origin: str) -> Request:
        yield
        held = self.named(expression)
        rows: list[Row] = []
        for index in held:
            for shard in index.shards:
                rows += self._visible(shard, params.get("preference", ""))
                yield
        answer = search(rows, body)
        for slot in body.get("query", {}).get("knn", ()):
            by_id = {row.document_id: row for row in rows}
            self.searched(origin, slot, [by_id[hit["_id"]] for hit in answer["hits"]["hits"]])
        return answer

    def _visible(self, shard: Shard, preference: str) -> list[Row]:
        primary = "_primary" in preference or self.rng.random() < 0.5
        return list((shard.primary if primary else shard.replica).visible.values())

    def multi_get(self, name: str, *, params: Params, body: Any, origin: str) -> Request:
        yield
        if not any(name == index.name or name in index.aliases for index in self.indexes.values()):
            error = no_such_index(name).body["error"]
            docs = [{"_index": name, "_id": each["_id"], "error": error} for each in body["docs"]]
            return {"docs": docs}
        index = self.one(name)
        wanted = _wanted(params)
        docs = []
        for each in body["docs"]:
            row = self._read_one(index, each["_id"], each.get("routing"), params)
            docs.append(_got(index, each["_id"], row, each.get("_source", wanted)))
            yield
        return {"docs": docs}

    def _read_one(
        self, index: Index, document_id: str, routing: str | None, params: Params
    ) -> Row | None:
        """Read by id from whichever copy is asked: each knows every acknowledged write."""
        shard = index.shard_of(document_id, routing)
        primary = "_primary" in params.get("preference", "") or self.rng.random() < 0.5
        return (shard.primary if primary else shard.replica).get(document_id)

    def get(
        self, name: str, document_id: str, *, params: Params, body: Any, origin: str
    ) -> Request:
        yield
        index = self.one(name)
        row = self._read_one(index, document_id, params.get("routing"), params)
        if row is None:
            raise RefusedError(404, "", f"[{document_id}] not found")
        return _got(index, document_id, row, True)

    # Writing.

    def write_one(
        self, kind: str, name: str, document_id: str, params: Params, body: Any, origin: str
    ) -> Request:
        action = {"_id": document_id, **params}
        index = self._written_to(name)
        yield
        item = operation(index, kind, action, body or {}, origin)
        shard = index.shard_of(document_id, params.get("routing"))
        (answer,) = yield from self._on_shard(index, shard, [item])
        if params.get("refresh") in {"true", ""}:
            shard.refresh()
        told = _item(index, document_id, answer)
        if answer.status >= 400:
            if answer.result == "not_found":
                raise RefusedError(404, "", "not found")
            raise RefusedError(answer.status, answer.kind, answer.reason)
        return told

    def bulk(self, name: str, *, params: Params, body: Any, origin: str) -> Request:
        items = list(_items(body))
        error = self._not_to_be_made(name, items, params)
        if error is not None:
            return _refused_items(items, error)
        index = self._written_to(name)
        by_shard: dict[int, list[int]] = {}
        for position, (_, action, _) in enumerate(items):
            shard = index.shard_of(action["_id"], action.get("routing"))
            by_shard.setdefault(index.shards.index(shard), []).append(position)
        for _ in range(self._on_the_way(index)):
            yield
        answers: dict[int, Answer] = {}
        for number, positions in by_shard.items():
            operations = [operation(index, *items[position], origin) for position in positions]
            shard = index.shards[number]
            found = yield from self._bulk_on_shard(index, shard, operations)
            answers |= dict(zip(positions, found, strict=True))
            if params.get("refresh") in {"true", ""}:
                shard.refresh()
        told = [
            {kind: _item(index, action["_id"], answers[position])}
            for position, (kind, action, _) in enumerate(items)
        ]
        errors = any("error" in next(iter(item.values())) for item in told)
        return {"errors": errors, "items": told}

    def _not_to_be_made(
        self, name: str, items: Sequence[tuple[str, Any, Any]], params: Params
    ) -> RefusedError | None:
        """Say why a bulk request to this name makes no index of it; requests here are of a kind."""
        if self.is_alias(name):
            return None
        deletes = all(kind == "delete" for kind, _, _ in items)
        if params.get("require_alias") == "true" and not deletes:
            return no_such_index(name)
        if name in self.indexes:
            return None
        if name != name.lower():
            return RefusedError(400, "invalid_index_name_exception", f"[{name}] must be lowercase")
        plain = all(action.get("version_type") is None for _, action, _ in items)
        return no_such_index(name) if deletes and plain else None

    def _written_to(self, name: str) -> Index:
        """Return where a write to this name goes; a name that stands for nothing becomes an index.

        What it stood for is settled here, whatever becomes of an alias before the shard is met.
        """
        try:
            return self.one(name)
        except RefusedError as error:
            if error.status != _MISSING:
                raise
            return self.make(name, {})

    def _bulk_on_shard(
        self, index: Index, shard: Shard, operations: Sequence[Operation]
    ) -> Generator[None, None, Sequence[Answer]]:
        if self.busy():
            full = Answer(429, kind="rejected_execution_exception", reason="queue is full")
            return [full] * len(operations)
        try:
            return (yield from self._on_shard(index, shard, operations))
        except RefusedError as error:
            if error.status != _FORBIDDEN:
                raise
            kind = error.body["error"]
            return [Answer(403, kind=kind["type"], reason=kind["reason"])] * len(operations)

    def _on_shard(
        self, index: Index, shard: Shard, operations: Sequence[Operation]
    ) -> Generator[None, None, list[Answer]]:
        """Send to the primary; where it fails meanwhile, send all again to the next one."""
        again = False
        while True:
            if self.indexes.get(index.name) is not index:
                raise no_such_index(index.name)
            if index.blocked():
                if again:  # the primary that failed may have carried some out
                    raise RefusedError(503, "unavailable_shards_exception", _blocked(index))
                raise RefusedError(403, "cluster_block_exception", _blocked(index))
            try:
                answers: list[Answer] = yield from shard.write(operations)
            except PrimaryGoneError:
                again = True
                yield
                continue
            return answers


def _blocked(index: Index) -> str:
    return f"index [{index.name}] blocked by: [FORBIDDEN/8/index write (api)];"


def _refused_items(items: Sequence[tuple[str, Any, Any]], error: RefusedError) -> dict[str, Any]:
    told = {"status": error.status, "error": error.body["error"]}
    answers = [{kind: {"_id": action["_id"], **told}} for kind, action, _ in items]
    return {"errors": True, "items": answers}


def _wanted(params: Params) -> Any:
    """Return what of a source the parameters of a multi-get ask for."""
    if params.get("_source") == "false":
        return False
    includes, excludes = params.get("_source_includes"), params.get("_source_excludes")
    if includes is None and excludes is None:
        return True
    return {
        "includes": None if includes is None else includes.split(","),
        "excludes": () if excludes is None else excludes.split(","),
    }


def _got(index: Index, document_id: str, row: Row | None, wanted: Any) -> dict[str, Any]:
    if row is None:
        return {"_index": index.name, "_id": document_id, "found": False}
    told = {
        "_index": index.name,
        "_id": document_id,
        "_version": row.version,
        "_seq_no": row.seq_no,
        "_primary_term": row.term,
        "found": True,
    }
    if wanted is not False:
        told["_source"] = filtered(row.source or {}, wanted)
    return told if row.routing is None else {**told, "_routing": row.routing}


def _item(index: Index, document_id: str, answer: Answer) -> dict[str, Any]:
    told: dict[str, Any] = {"_index": index.name, "_id": document_id, "status": answer.status}
    if answer.row is None:
        return {**told, "error": {"type": answer.kind, "reason": answer.reason}}
    row = answer.row
    return {
        **told,
        "result": answer.result,
        "_version": row.version,
        "_seq_no": row.seq_no,
        "_primary_term": row.term,
    }


def _items(body: bytes) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    lines = iter(body.splitlines())
    for line in lines:
        ((kind, action),) = orjson.loads(line).items()
        yield kind, action, {} if kind == "delete" else orjson.loads(next(lines))


def _single(kind: str) -> Callable[..., Request]:
    def handler(
        node: SimulatedNode, name: str, document_id: str, *, params: Params, body: Any, origin: str
    ) -> Request:
        known = "create" if params.get("op_type") == "create" else kind
        return node.write_one(known, name, document_id, params, body, origin)

    return handler


def _route(method: str, shape: str, handler: Callable[..., Request]) -> tuple[Any, ...]:
    pattern = re.compile(shape.replace("{index}", "([^/_][^/]*|\\.[^/]+)").replace("{}", "([^/]+)"))
    return method, pattern, handler


_ROUTES = (
    _route("POST", "/_search", SimulatedNode.search_snapshot),
    _route("GET", "/_nodes/stats(?:/{})?", SimulatedNode.node_stats),
    _route("GET", "/_cluster/settings", SimulatedNode.nothing),
    _route("GET", "/_plugins/_knn/stats(?:/{})?", SimulatedNode.nothing),
    _route("POST", "/_aliases", SimulatedNode.aliases),
    _route("GET", "/_alias/{}", SimulatedNode.alias),
    _route("DELETE", "/_search/point_in_time", SimulatedNode.close_snapshot),
    _route("POST", "/{index}/_search/point_in_time", SimulatedNode.open_snapshot),
    _route("POST", "/{index}/_search", SimulatedNode.search),
    _route("POST", "/{index}/_bulk", SimulatedNode.bulk),
    _route("POST", "/{index}/_mget", SimulatedNode.multi_get),
    _route("POST", "/{index}/_refresh", SimulatedNode.refresh),
    _route("POST", "/{index}/_count", SimulatedNode.count),
    _route("GET", "/{index}/_count", SimulatedNode.count),
    _route("GET", "/{index}/_stats(?:/{})?", SimulatedNode.stats),
    _route("GET", "/{index}/_mapping", SimulatedNode.mapping),
    _route("PUT", "/{index}/_mapping", SimulatedNode.put_mapping),
    _route("GET", "/{index}/_settings(?:/{})?", SimulatedNode.settings),
    _route("PUT", "/{index}/_settings", SimulatedNode.put_settings),
    _route("PUT", "/{index}/_block/write", SimulatedNode.block),
    _route("GET", "/{index}/_alias", SimulatedNode.index_aliases),
    _route("GET", "/{index}/_doc/{}", SimulatedNode.get),
    _route("PUT", "/{index}/_doc/{}", _single("index")),
    _route("PUT", "/{index}/_create/{}", _single("create")),
    _route("POST", "/{index}/_update/{}", _single("update")),
    _route("DELETE", "/{index}/_doc/{}", _single("delete")),
    _route("GET", "/{index}", SimulatedNode.describe),
    _route("PUT", "/{index}", SimulatedNode.create),
    _route("DELETE", "/{index}", SimulatedNode.drop),
)
