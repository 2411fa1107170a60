"""What a simulated cluster knows of its indexes: settings, mappings, aliases and counts."""

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from simulated_aliases import Aliases, Params, RefusedError, Request
from simulated_index import Index, flat, new_shards
from simulated_queries import search
from simulated_shard import Row, Shard

#: The most that happens elsewhere while one write stalls.
_LONG_LAG = 300
#: Steps for which a block waits for writes under way before it says that it gave up.
_BLOCK_WAITS = 5_000
#: Settings that only the cluster gives.
_PRIVATE = ("index.uuid", "index.provided_name", "index.creation_date", "index.version.")


class Catalog(Aliases):
    """Indexes by name. Every method is a request and yields where others may run."""

    def __init__(self, now: Callable[[], float] = lambda: 0.0, rng: random.Random | None = None):
        super().__init__()
        self.now = now
        self.rng = rng or random.Random(0)
        self._ids = itertools.count(1)
        self._snapshots: dict[str, tuple[Index, list[tuple[Shard, int, Mapping[str, Row]]]]] = {}
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

    def _on_the_way(self, index: Index) -> int:
        """Return how much happens between the choice of an index and its shard."""
        return 1 if index.name.startswith(".") else self._lag()

    # Indexes.

    def create(self, name: str, *, params: Params, body: Any, origin: str) -> Request:
        self.make(name, body or {})
        yield
        return {"acknowledged": True, "shards_acknowledged": True, "index": name}

    def make(self, name: str, held: Mapping[str, Any]) -> Index:
        """Make an index, asked for or because somebody wrote to it."""
        if name in self.indexes or any(name in each.aliases for each in self.indexes.values()):
            raise RefusedError(
                400, "resource_already_exists_exception", f"index [{name}] already exists"
            )
        settings = dict(flat(held.get("settings", {})))
        private = [each for each in settings if each.startswith(_PRIVATE)]
        if private:
            raise RefusedError(400, "validation_exception", f"private index setting {private}")
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
        self.renamed()
        return index

    def drop(self, expression: str, *, params: Params, body: Any, origin: str) -> Request:
        held = self.named(expression)
        if any(index.name != expression for index in held) and "*" not in expression:
            reason = f"The provided expression [{expression}] matches an alias"
            raise RefusedError(400, "illegal_argument_exception", reason)
        for index in held:
            del self.indexes[index.name]
        self.renamed()
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
            if "_meta" in body:
                index.mapping["_meta"] = deepcopy(body["_meta"])
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
        self.renamed()
        return {"acknowledged": True}

    def block(self, expression: str, *, params: Params, body: Any, origin: str) -> Request:
        """Stop writes and return once those under way are done."""
        held = [index for index in self.named(expression) if not index.blocked()]
        if not held:
            yield
            return {"acknowledged": True, "shards_acknowledged": False, "indices": []}
        for index in held:
            index.settings["index.blocks.write"] = "true"
        self.renamed()
        ended = False
        for _ in range(_BLOCK_WAITS):
            yield
            ended = not any(shard.busy for index in held for shard in index.shards)
            if ended:
                break
        names = [{"name": index.name, "blocked": ended} for index in held]
        return {"acknowledged": ended, "shards_acknowledged": ended, "indices": names}

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
