"""What a simulated cluster knows of its indexes: settings, mappings, aliases and counts."""

import itertools
import random
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from simulated_index import Index, flat, new_shards
from simulated_queries import UnknownCallError, search
from simulated_shard import Row, Shard

#: The most that happens elsewhere while one write stalls.
_LONG_LAG = 300

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


class Catalog:
    """Indexes by name. Every method is a request and yields where others may run."""

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
        """Return how much happens elsewhere before the next stage of a write."""
        return int(self.rng.random() * _LONG_LAG) if self.rng.random() < self.stalls else 1

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
            if not name.startswith("."):  # a lease that stalls for seconds is lost by right
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
                if kind == "remove_index":
                    dropped.append(index.name)
                else:
                    _plan(kind, how, planned[index.name])
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

    def _rows(self, indexes: Sequence[Index], *, primary: bool) -> list[Row]:
        shards = [shard for index in indexes for shard in index.shards]
        return [row for shard in shards for row in shard.primary.visible.values()]


def _plan(kind: str, how: Mapping[str, Any], held: dict[str, dict[str, Any]]) -> None:
    """Carry one alias action out on a copy of the aliases an index has."""
    for alias in _aliases(how):
        if kind == "add":
            keys = ("is_write_index", "filter", "routing")
            held[alias] = {key: how[key] for key in keys if key in how}
        elif kind != "remove":
            raise UnknownCallError(f"alias action {kind!r}")
        elif held.pop(alias, None) is None and how.get("must_exist"):
            raise RefusedError(404, "aliases_not_found_exception", f"aliases [{alias}] missing")


def _aliases(how: Mapping[str, Any]) -> list[str]:
    return how.get("aliases") or [how["alias"]]


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
