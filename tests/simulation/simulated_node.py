"""A cluster in this process: the requests desireline sends, answered as OpenSearch 3.5 does.

Every request is a generator that yields wherever another request may run in between. Run to
its end at once it behaves like an idle cluster; advanced by a scheduler, like a busy one.
What is not known here is an UnknownCallError, never a guess.
"""

import itertools
import random
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any
from urllib.parse import unquote

import orjson
from simulated_index import Index, flat, new_shards, operation
from simulated_queries import UnknownCallError, filtered, search
from simulated_shard import Answer, Operation, PrimaryGoneError, Row, Shard

#: The most that happens elsewhere while one write stalls.
_LONG_LAG = 150

Params = Mapping[str, str]
Request = Generator[None, None, Any]


class RefusedError(Exception):
    """An answer with a status of 400 and above."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(f"{status} {kind}: {reason}")
        self.status = status
        self.body = {
            "error": {"type": kind, "reason": reason, "root_cause": [{"type": kind}]},
            "status": status,
        }


class SimulatedNode:
    """Indexes, aliases and snapshots. Nothing of it is safe between threads at one time."""

    def __init__(self, now: Callable[[], float] = lambda: 0.0, rng: random.Random | None = None):
        self.now = now
        self.rng = rng or random.Random(0)
        self.indexes: dict[str, Index] = {}
        self._ids = itertools.count(1)
        self._snapshots: dict[str, list[tuple[Shard, int, Mapping[str, Row]]]] = {}
        #: Told of every row as its primary applies it: index, shard, row, origin, row before.
        self.journal: Callable[[Index, Row, str, Row | None], None] = lambda *_: None
        #: Told of every vector search: who asked, in which slot, and the rows found.
        self.searched: Callable[[str, str, list[Row]], None] = lambda *_: None
        #: Share of writes that stall between two of their stages, as in a long collection.
        self.stalls = 0.0
        #: Whether a shard turns the items of a bulk request away.
        self.busy: Callable[[], bool] = lambda: False

    def _lag(self) -> int:
        return int(self.rng.random() * _LONG_LAG) if self.rng.random() < self.stalls else 1

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

    # Names.

    def named(self, expression: str) -> list[Index]:
        """Return the indexes that a name, an alias or a list of them stands for."""
        found: dict[str, Index] = {}
        for name in expression.split(","):
            held = [i for i in self.indexes.values() if name == i.name or name in i.aliases]
            if "*" in name:
                shape = re.compile(re.escape(name).replace(r"\*", ".*"))
                held = [i for i in self.indexes.values() if shape.fullmatch(i.name)]
            elif not held:
                raise RefusedError(404, "index_not_found_exception", f"no such index [{name}]")
            found |= {index.name: index for index in held}
        return list(found.values())

    def one(self, name: str) -> Index:
        """Return the index that a write to this name goes to."""
        found = self.named(name)
        if len(found) > 1:
            found = [index for index in found if index.aliases[name].get("is_write_index")]
        if len(found) != 1:
            raise RefusedError(
                400, "illegal_argument_exception", f"no write index is defined for alias [{name}]"
            )
        return found[0]

    # Indexes.

    def create(self, name: str, *, params: Params, body: Any, origin: str) -> Request:
        if name in self.indexes:
            raise RefusedError(
                400, "resource_already_exists_exception", f"index [{name}] already exists"
            )
        held = body or {}
        settings = dict(flat(held.get("settings", {})))
        uuid = f"uuid{next(self._ids)}"
        settings.setdefault("index.number_of_shards", "1")
        settings |= {"index.uuid": uuid, "index.provided_name": name}
        index = Index(
            name, uuid, settings, deepcopy(held.get("mappings", {})), new_shards(settings, self.now)
        )
        index.aliases = {alias: dict(how) for alias, how in held.get("aliases", {}).items()}
        for shard in index.shards:
            shard.journal = lambda row, who, before: self.journal(index, row, who, before)
            shard.lag = self._lag
        self.indexes[name] = index
        yield
        return {"acknowledged": True, "shards_acknowledged": True, "index": name}

    def drop(self, expression: str, *, params: Params, body: Any, origin: str) -> Request:
        for index in self.named(expression):
            del self.indexes[index.name]
        yield
        return {"acknowledged": True}

    def describe(self, expression: str, *, params: Params, body: Any, origin: str) -> Request:
        yield
        return {
            index.name: {
                "aliases": deepcopy(index.aliases),
                "mappings": deepcopy(index.mapping),
                "settings": dict(index.settings),
            }
            for index in self.named(expression)
        }

    def mapping(self, expression: str, *, params: Params, body: Any, origin: str) -> Request:
        yield
        return {i.name: {"mappings": deepcopy(i.mapping)} for i in self.named(expression)}

    def put_mapping(self, expression: str, *, params: Params, body: Any, origin: str) -> Request:
        yield
        for index in self.named(expression):
            properties = index.mapping.setdefault("properties", {})
            for name, definition in body.get("properties", {}).items():
                if properties.get(name, definition) != definition:
                    raise RefusedError(
                        400, "illegal_argument_exception", f"Cannot update mapper [{name}]"
                    )
                properties[name] = deepcopy(definition)
        return {"acknowledged": True}

    def settings(self, expression: str, *_: str, params: Params, body: Any, origin: str) -> Request:
        yield
        return {i.name: {"settings": dict(i.settings)} for i in self.named(expression)}

    def put_settings(self, expression: str, *, params: Params, body: Any, origin: str) -> Request:
        yield
        given = body.get("settings", body)
        nothing = [name for name, value in given.items() if value is None]
        for index in self.named(expression):
            index.settings |= dict(flat({k: v for k, v in given.items() if v is not None}))
            for name in nothing:
                index.settings.pop(name if name.startswith("index.") else f"index.{name}", None)
            seconds = new_shards(index.settings, self.now)[0].gc_deletes_s
            for shard in index.shards:
                shard.gc_deletes_s = seconds
        return {"acknowledged": True}

    def block(self, expression: str, *, params: Params, body: Any, origin: str) -> Request:
        """Stop writes and return once those under way are done."""
        held = self.named(expression)
        for index in held:
            index.settings["index.blocks.write"] = "true"
        for _ in range(10_000):
            yield
            if not any(shard.busy for index in held for shard in index.shards):
                break
        names = [{"name": index.name, "blocked": True} for index in held]
        return {"acknowledged": True, "shards_acknowledged": True, "indices": names}

    def aliases(self, *, params: Params, body: Any, origin: str) -> Request:
        """Carry out every action or none."""
        yield
        planned = {name: dict(index.aliases) for name, index in self.indexes.items()}
        dropped = []
        for action in body["actions"]:
            ((kind, how),) = action.items()
            for index in self._of_action(how):
                if kind == "add":
                    for alias in _aliases(how):
                        keys = ("is_write_index", "filter", "routing")
                        planned[index.name][alias] = {k: how[k] for k in keys if k in how}
                elif kind == "remove":
                    for alias in _aliases(how):
                        gone = planned[index.name].pop(alias, None)
                        if gone is None and how.get("must_exist"):
                            raise RefusedError(
                                404, "aliases_not_found_exception", f"aliases [{alias}] missing"
                            )
                elif kind == "remove_index":
                    dropped.append(index.name)
                else:
                    raise UnknownCallError(f"alias action {kind!r}")
        for name, held in planned.items():
            self.indexes[name].aliases = held
        for name in dropped:
            del self.indexes[name]
        return {"acknowledged": True}

    def _of_action(self, how: Mapping[str, Any]) -> list[Index]:
        names = how.get("indices") or [how["index"]]
        return [index for name in names for index in self.named(name) if index.name == name]

    def alias(self, name: str, *, params: Params, body: Any, origin: str) -> Request:
        yield
        found = {
            i.name: {"aliases": {name: i.aliases[name]}}
            for i in self.indexes.values()
            if name in i.aliases
        }
        if not found:
            raise RefusedError(404, "aliases_not_found_exception", f"alias [{name}] missing")
        return found

    def index_aliases(self, name: str, *, params: Params, body: Any, origin: str) -> Request:
        yield
        return {i.name: {"aliases": deepcopy(i.aliases)} for i in self.named(name)}

    # Counts.

    def stats(self, expression: str, *_: str, params: Params, body: Any, origin: str) -> Request:
        yield
        held = self.named(expression)
        size = {"store": {"size_in_bytes": 1000 * sum(_count(index) for index in held)}}
        return {
            "_all": {"primaries": {**size, "docs": {"count": sum(map(_count, held))}}},
            "indices": {i.name: {"uuid": i.uuid, "shards": _shard_stats(i)} for i in held},
        }

    def count(self, expression: str, *, params: Params, body: Any, origin: str) -> Request:
        yield
        query = (body or {}).get("query", {"match_all": {}})
        rows = self._rows(self.named(expression), primary=True)
        return {"count": search(rows, {"query": query})["hits"]["total"]["value"]}

    def refresh(self, expression: str, *, params: Params, body: Any, origin: str) -> Request:
        for index in self.named(expression):
            for shard in index.shards:
                yield
                shard.refresh()
        return {"_shards": {"failed": 0}}

    def node_stats(self, *_: str, params: Params, body: Any, origin: str) -> Request:
        """Tell of one node that is never loaded."""
        yield
        return {"_nodes": {"failed": 0}, "nodes": {"node1": {"name": "node1", "roles": ["data"]}}}

    def nothing(self, *_: str, params: Params, body: Any, origin: str) -> Request:
        """Tell nothing: every setting has its default."""
        yield
        return {}

    # Reading.

    def open_snapshot(self, name: str, *, params: Params, body: Any, origin: str) -> Request:
        yield
        index = self.one(name)
        number = re.match(r"_shards:(\d+)", params.get("preference", ""))
        held = [index.shards[int(number[1])]] if number else index.shards
        pit = f"pit{next(self._ids)}"
        self._snapshots[pit] = [(shard, shard.term, shard.primary.visible) for shard in held]
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
        held = self._snapshots.get(body["pit"]["id"])
        if held is None or any(shard.term != term for shard, term, _ in held):
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

    def _rows(self, indexes: Sequence[Index], *, primary: bool) -> list[Row]:
        shards = [shard for index in indexes for shard in index.shards]
        return [row for shard in shards for row in shard.primary.visible.values()]

    def multi_get(self, name: str, *, params: Params, body: Any, origin: str) -> Request:
        yield
        index = self.one(name)
        includes = params.get("_source_includes")
        wanted = True if includes is None else {"includes": includes.split(",")}
        docs = []
        for each in body["docs"]:
            row = index.shard_of(each["_id"], each.get("routing")).get(each["_id"])
            docs.append(_got(index, each["_id"], row, each.get("_source", wanted)))
            yield
        return {"docs": docs}

    def get(
        self, name: str, document_id: str, *, params: Params, body: Any, origin: str
    ) -> Request:
        yield
        index = self.one(name)
        row = index.shard_of(document_id, params.get("routing")).get(document_id)
        if row is None:
            raise RefusedError(404, "", f"[{document_id}] not found")
        return _got(index, document_id, row, True)

    # Writing.

    def write_one(
        self, kind: str, name: str, document_id: str, params: Params, body: Any, origin: str
    ) -> Request:
        action = {"_id": document_id, **params}
        index = self.one(name)
        yield
        if index.blocked():
            raise RefusedError(403, "cluster_block_exception", _blocked(index))
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
        index = self.one(name)
        items = list(_items(body))
        by_shard: dict[int, list[int]] = {}
        for position, (_, action, _) in enumerate(items):
            shard = index.shard_of(action["_id"], action.get("routing"))
            by_shard.setdefault(index.shards.index(shard), []).append(position)
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

    def _bulk_on_shard(
        self, index: Index, shard: Shard, operations: Sequence[Operation]
    ) -> Generator[None, None, Sequence[Answer]]:
        if index.blocked():
            blocked = Answer(403, kind="cluster_block_exception", reason=_blocked(index))
            return [blocked] * len(operations)
        if self.busy():
            full = Answer(429, kind="rejected_execution_exception", reason="queue is full")
            return [full] * len(operations)
        return (yield from self._on_shard(index, shard, operations))

    def _on_shard(
        self, index: Index, shard: Shard, operations: Sequence[Operation]
    ) -> Generator[None, None, list[Answer]]:
        """Send to the primary; where it fails meanwhile, send all again to the next one."""
        while True:
            if self.indexes.get(index.name) is not index:
                raise RefusedError(
                    404, "index_not_found_exception", f"no such index [{index.name}]"
                )
            try:
                answers: list[Answer] = yield from shard.write(operations)
            except PrimaryGoneError:
                yield
                continue
            return answers


def _aliases(how: Mapping[str, Any]) -> list[str]:
    return how.get("aliases") or [how["alias"]]


def _blocked(index: Index) -> str:
    return f"index [{index.name}] blocked by: [FORBIDDEN/8/index write (api)];"


def _count(index: Index) -> int:
    return sum(len(shard.primary.visible) for shard in index.shards)


def _shard_stats(index: Index) -> dict[str, Any]:
    return {
        str(number): [
            {
                "routing": {"primary": True, "state": "STARTED", "node": "node1"},
                "docs": {"count": len(shard.primary.visible)},
                "seq_no": {
                    "max_seq_no": shard.primary.max_seq_no,
                    "local_checkpoint": shard.primary.local_checkpoint,
                    "global_checkpoint": shard.global_checkpoint,
                },
            }
        ]
        for number, shard in enumerate(index.shards)
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
        "_source": filtered(row.source or {}, wanted),
    }
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
