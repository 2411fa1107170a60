"""How loaded a cluster is: node statistics, k-NN statistics and the disk watermarks.

Three requests a look; which nodes hold the index and what the settings say is asked once a minute.
A request that this user may not send leaves its figures out and says so.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from desireline.connectors.engine_load import DiskSpace, EngineLoad, NodeLoad
from desireline.connectors.engines.opensearch_sizes import floor_bytes, memory_bytes
from desireline.connectors.errors import ConnectorError, EngineUnavailableError
from desireline.connectors.opensearch_client import Cluster, path

_SETTINGS_AGE_S = 60.0
_METRICS = (
    "os,process,jvm,fs,breaker,thread_pool,indexing_pressure,search_backpressure,admission_control"
)
_FIGURES = (
    "_nodes.failed",
    "nodes.*.name",
    "nodes.*.roles",
    "nodes.*.os.cpu.percent",
    "nodes.*.os.mem.total_in_bytes",
    "nodes.*.process.cpu.percent",
    "nodes.*.jvm.mem.heap_*",
    "nodes.*.jvm.mem.pools.old.used_in_bytes",
    "nodes.*.jvm.mem.pools.old.last_gc_stats.used_in_bytes",
    "nodes.*.fs.data",
    "nodes.*.breakers.*.limit_size_in_bytes",
    "nodes.*.breakers.*.estimated_size_in_bytes",
    "nodes.*.breakers.*.tripped",
    "nodes.*.thread_pool.search.rejected",
    "nodes.*.thread_pool.write.rejected",
    "nodes.*.indexing_pressure.memory.total.*_rejections",
    "nodes.*.search_backpressure.*.cancellation_stats.cancellation_count",
    "nodes.*.admission_control.*.transport.rejection_count",
)
_STATS = {"filter_path": ",".join(_FIGURES)}
_GRAPH_STATS = "circuit_breaker_triggered,graph_memory_usage"
_DISK = "cluster.routing.allocation.disk."
_GRAPH_LIMIT = "knn.memory.circuit_breaker.limit"
_SETTINGS = {"include_defaults": "true", "flat_settings": "true"}

Settings = Mapping[str, str]


@dataclass(slots=True)
class OpenSearchLoad:
    """Measures one cluster; threads may share it."""

    cluster: Cluster
    monotonic: Callable[[], float] = time.monotonic
    _kept: dict[str, tuple[float, Any]] = field(default_factory=dict)

    def of(self, index: str) -> EngineLoad:
        """Measure the nodes that hold the index. Raises EngineUnavailableError."""
        missing: list[str] = []
        settings = self._once_a_minute("", self._settings, missing) or {}
        copies = self._once_a_minute(index, lambda: self._copies(index), missing)
        stats = _asked(self._stats, missing) or {}
        graphs = _asked(self._graphs, missing) or {}
        return read_load(
            stats, settings=settings, graphs=graphs, copies=copies, missing=tuple(missing)
        )

    def _stats(self) -> Any:
        return self.cluster.call("GET", f"/_nodes/stats/{_METRICS}", params=_STATS)

    def _graphs(self) -> Any:
        # Nothing but a 404 says that a cluster has no k-NN plugin; then it holds no graphs.
        return self.cluster.call("GET", f"/_plugins/_knn/stats/{_GRAPH_STATS}", absent_ok=True)

    def _settings(self) -> Settings:
        held = self.cluster.call("GET", "/_cluster/settings", params=_SETTINGS)
        levels = [held.get(level) or {} for level in ("defaults", "persistent", "transient")]
        return {
            name: str(value)
            for level in levels
            for name, value in level.items()
            if name.startswith((_DISK, "knn."))
        }

    def _copies(self, index: str) -> dict[str, float] | None:
        """Return how many copies each node holds, per primary; the sum is 1 + replicas."""
        params = {"level": "shards", "filter_path": "indices.*.shards.*.routing"}
        held = self.cluster.call("GET", path(index, "_stats", "docs"), params=params)
        routings = [
            copy["routing"]
            for one in (held.get("indices") or {}).values()
            for shard in one["shards"].values()
            for copy in shard
        ]
        if not routings:
            return None
        primaries = sum(routing["primary"] for routing in routings) or 1
        counts: dict[str, float] = {"": primaries}
        for routing in routings:
            counts[routing["node"]] = counts.get(routing["node"], 0) + 1 / primaries
        return counts

    def _once_a_minute(self, key: str, ask: Callable[[], Any], missing: list[str]) -> Any:
        asked_at, kept = self._kept.get(key, (float("-inf"), None))
        if self.monotonic() - asked_at < _SETTINGS_AGE_S:
            answer, refusals = kept
        else:
            refusals = []
            answer = _asked(ask, refusals)
            self._kept[key] = (self.monotonic(), (answer, refusals))
        missing.extend(refusals)
        return answer


def _asked(ask: Callable[[], Any], missing: list[str]) -> Any:
    """Return the answer; None, and why in `missing`, where this user gets none."""
    try:
        return ask()
    except EngineUnavailableError:
        raise
    except ConnectorError as error:
        missing.append(str(error))
        return None


def read_load(
    stats: Mapping[str, Any],
    *,
    settings: Settings,
    graphs: Mapping[str, Any],
    copies: Mapping[str, float] | None,
    missing: tuple[str, ...] = (),
) -> EngineLoad:
    """Return the answers of a cluster as one value.

    Args:
        stats: of `_nodes/stats`.
        settings: of the cluster, flat, the strongest level of each.
        graphs: of `_plugins/_knn/stats`.
        copies: shard copies by node id, the number of primaries under ""; None: not known, then
            every data node counts as if it held all.
        missing: what could not be asked.

    """
    nodes: Mapping[str, Any] = stats.get("nodes") or {}
    graph_nodes: Mapping[str, Any] = graphs.get("nodes") or {}
    return EngineLoad(
        nodes=tuple(
            _node(held, settings, graph_nodes.get(key) or {}, 1.0 if not copies else copies[key])
            for key, held in nodes.items()
            if _holds(key, held, copies)
        ),
        refused={name: count for held in nodes.values() for name, count in _refused(held)}
        if nodes
        else None,
        graph_breaker_tripped=bool(graphs.get("circuit_breaker_triggered")),
        primaries=int((copies or {}).get("", 1)),
        silent_nodes=int((stats.get("_nodes") or {}).get("failed", 0)),
        missing=missing,
    )


def _holds(key: str, held: Mapping[str, Any], copies: Mapping[str, float] | None) -> bool:
    if copies:
        return key in copies
    return "data" in held.get("roles", ["data"])


def _node(
    held: Mapping[str, Any], settings: Settings, graphs: Mapping[str, Any], part: float
) -> NodeLoad:
    heap = _at(held, "jvm", "mem") or {}
    return NodeLoad(
        name=str(held.get("name", "")),
        cpu=_share(_cpu_percent(held)),
        heap=_heap_share(heap),
        heap_bytes=heap.get("heap_max_in_bytes"),
        breakers=_breakers(held),
        disk=_disk((held.get("fs") or {}).get("data") or (), settings),
        graph_bytes=_kilobytes(graphs.get("graph_memory_usage")),
        graph_limit_bytes=_graph_limit(held, settings),
        part=part,
    )


def _heap_share(heap: Mapping[str, Any]) -> float | None:
    """Return the old generation's share of the heap: the young one is full before each collection.

    Collectors without generations are taken by all that they use.
    """
    old, most = _at(heap, "pools", "old", "used_in_bytes"), heap.get("heap_max_in_bytes")
    return float(old) / float(most) if old and most else _share(heap.get("heap_used_percent"))


def _breakers(held: Mapping[str, Any]) -> dict[str, float]:
    """Return what each breaker holds of its limit.

    With real memory (the default) the parent counts garbage too, so a well node swings through
    its whole range between two collections. What decides is what would stay: the old generation
    after its last collection, or what the other breakers have promised, whichever is more.
    """
    breakers = {
        name: one
        for name, one in (held.get("breakers") or {}).items()
        if {"estimated_size_in_bytes", "limit_size_in_bytes"} <= one.keys()
    }
    estimated = {name: int(one["estimated_size_in_bytes"]) for name, one in breakers.items()}
    after_gc = _at(held, "jvm", "mem", "pools", "old", "last_gc_stats", "used_in_bytes")
    if "parent" in estimated and after_gc is not None:
        promised = sum(size for name, size in estimated.items() if name != "parent")
        estimated["parent"] = min(estimated["parent"], max(int(after_gc), promised))
    limits = {name: int(one["limit_size_in_bytes"]) for name, one in breakers.items()}
    return {name: size / limits[name] for name, size in estimated.items() if limits[name] > 0}


def _disk(paths: Sequence[Mapping[str, Any]], settings: Settings) -> DiskSpace | None:
    disks = [
        DiskSpace(
            total_bytes=int(held["total_in_bytes"]),
            available_bytes=int(held["available_in_bytes"]),
            floor_bytes=floor_bytes(
                settings.get(f"{_DISK}watermark.low"),
                int(held["total_in_bytes"]),
                enforced=settings.get(f"{_DISK}threshold_enabled", "true") == "true",
            ),
        )
        for held in paths
        if {"available_in_bytes", "total_in_bytes"} <= held.keys()
    ]
    return min(disks, key=lambda disk: disk.room_bytes, default=None)


def _graph_limit(held: Mapping[str, Any], settings: Settings) -> int | None:
    total = _at(held, "os", "mem", "total_in_bytes")
    heap = _at(held, "jvm", "mem", "heap_max_in_bytes")
    limit = settings.get(_GRAPH_LIMIT)
    if total is None or heap is None or limit is None:
        return None
    return memory_bytes(limit, int(total) - int(heap))


def _refused(held: Mapping[str, Any]) -> list[tuple[str, int]]:
    pressure = _at(held, "indexing_pressure", "memory", "total") or {}
    cancelled = (held.get("search_backpressure") or {}).values()
    admission = (held.get("admission_control") or {}).values()
    counts = {
        "searches rejected by": _at(held, "thread_pool", "search", "rejected"),
        "writes rejected by": _at(held, "thread_pool", "write", "rejected"),
        "writes refused for indexing pressure by": sum(pressure.values()) if pressure else None,
        "searches cancelled for back-pressure by": sum(
            _at(task, "cancellation_stats", "cancellation_count") or 0
            for task in cancelled
            if isinstance(task, Mapping)
        ),
        "requests refused by the admission control of": sum(
            sum((_at(what, "transport", "rejection_count") or {}).values()) for what in admission
        ),
        "circuit breakers tripped on": sum(
            int(one.get("tripped", 0)) for one in (held.get("breakers") or {}).values()
        ),
    }
    return [
        (f"{what} {held.get('name')}", int(count))
        for what, count in counts.items()
        if count is not None
    ]


def _at(held: Mapping[str, Any], *names: str) -> Any:
    found: Any = held
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _cpu_percent(held: Mapping[str, Any]) -> Any:
    """Return the process's own use, else the machine's; the JVM says -1 where it cannot tell.

    The machine's figure would count an encoder that runs beside the node, which the probes see
    as slower searches if it hurts.
    """
    measured = (_at(held, "process", "cpu", "percent"), _at(held, "os", "cpu", "percent"))
    return next((value for value in measured if value is not None and value >= 0), None)


def _share(percent: Any) -> float | None:
    return None if percent is None else float(percent) / 100


def _kilobytes(size: Any) -> int | None:
    return None if size is None else int(size) * 1024
