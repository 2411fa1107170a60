"""What a cluster says about its load, from recorded answers and from a real node."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from desireline.connectors.documents import Document
from desireline.connectors.engine_load import MeasuresLoad
from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.engines.opensearch_load import OpenSearchLoad, read_load
from desireline.connectors.engines.opensearch_sizes import floor_bytes, memory_bytes, size_bytes
from desireline.connectors.errors import EngineBusyError, EngineUnavailableError
from desireline.connectors.opensearch_client import Cluster, OpenSearchSettings

GIB = 1024**3
DISK = "cluster.routing.allocation.disk."
SETTINGS = {
    f"{DISK}threshold_enabled": "true",
    f"{DISK}watermark.low": "85%",
    "knn.memory.circuit_breaker.limit": "50%",
}


def node(name: str, **changes: Any) -> dict[str, Any]:
    """One node as `_nodes/stats` of OpenSearch 3.5 shows it, cut to what is asked for."""
    return {
        "name": name,
        "roles": ["cluster_manager", "data", "ingest"],
        "os": {"cpu": {"percent": 97}, "mem": {"total_in_bytes": 24 * GIB}},
        "process": {"cpu": {"percent": 41}},
        "jvm": {
            "mem": {
                "heap_used_percent": 71,
                "heap_max_in_bytes": 4 * GIB,
                "pools": {
                    "old": {
                        "used_in_bytes": 2 * GIB,
                        "last_gc_stats": {"used_in_bytes": GIB},
                    }
                },
            }
        },
        "fs": {
            "data": [
                {"path": "/a", "total_in_bytes": 100 * GIB, "available_in_bytes": 60 * GIB},
                {"path": "/b", "total_in_bytes": 100 * GIB, "available_in_bytes": 20 * GIB},
            ]
        },
        "breakers": {
            "request": {"limit_size_in_bytes": 2 * GIB, "estimated_size_in_bytes": 0, "tripped": 0},
            "parent": {
                "limit_size_in_bytes": 4 * GIB,
                "estimated_size_in_bytes": 3 * GIB,
                "tripped": 2,
            },
        },
        "thread_pool": {"search": {"rejected": 5}, "write": {"rejected": 7}},
        "indexing_pressure": {
            "memory": {
                "total": {
                    "coordinating_rejections": 1,
                    "primary_rejections": 2,
                    "replica_rejections": 3,
                }
            }
        },
        "search_backpressure": {
            "search_task": {"cancellation_stats": {"cancellation_count": 4}},
            "search_shard_task": {"cancellation_stats": {"cancellation_count": 5}},
        },
        "admission_control": {
            "global_cpu_usage": {"transport": {"rejection_count": {"search": 8, "indexing": 1}}},
            "global_io_usage": {"transport": {"rejection_count": {}}},
        },
        **changes,
    }


def stats(**nodes: dict[str, Any]) -> dict[str, Any]:
    return {"_nodes": {"failed": 0}, "nodes": nodes}


def test_every_figure_of_a_node_is_read() -> None:
    graphs = {
        "circuit_breaker_triggered": True,
        "nodes": {"id1": {"graph_memory_usage": 2 * 1024**2}},
    }
    load = read_load(
        stats(id1=node("n1")), settings=SETTINGS, graphs=graphs, copies={"": 2, "id1": 1.5}
    )
    (read,) = load.nodes
    assert (read.name, read.part, load.primaries) == ("n1", 1.5, 2)
    assert read.cpu == 0.41, "the process's own, not the machine's"
    assert read.heap == 0.5, "what long-lived objects use of the whole heap"
    assert read.heap_bytes == 4 * GIB
    assert read.breakers == {"request": 0.0, "parent": 0.25}, "what a collection would leave"
    assert read.disk is not None
    assert read.disk.available_bytes == 20 * GIB, "the disk with the least room"
    assert read.disk.room_bytes == pytest.approx(5 * GIB, abs=2)
    assert read.graph_bytes == 2 * GIB
    assert read.graph_limit_bytes == 10 * GIB, "half of what the heap leaves of the memory"
    assert load.graph_breaker_tripped
    assert load.refused == {
        "searches rejected by n1": 5,
        "writes rejected by n1": 7,
        "writes refused for indexing pressure by n1": 6,
        "searches cancelled for back-pressure by n1": 9,
        "requests refused by the admission control of n1": 9,
        "circuit breakers tripped on n1": 2,
    }
    assert load.missing == ()


def test_only_nodes_that_hold_the_index_are_measured_but_all_are_counted() -> None:
    load = read_load(
        stats(id1=node("n1"), id2=node("n2")),
        settings=SETTINGS,
        graphs={},
        copies={"": 1, "id2": 1.0},
    )
    assert [one.name for one in load.nodes] == ["n2"]
    assert "writes rejected by n1" in (load.refused or {})


def test_where_it_is_not_known_which_nodes_hold_the_index_all_data_nodes_do() -> None:
    load = read_load(
        stats(id1=node("n1", roles=["cluster_manager"]), id2=node("n2")),
        settings=SETTINGS,
        graphs={},
        copies=None,
    )
    assert [(one.name, one.part) for one in load.nodes] == [("n2", 1.0)]


def test_what_a_node_does_not_say_is_not_guessed() -> None:
    bare = {
        "name": "n1",
        "roles": ["data"],
        "breakers": {"parent": {"tripped": 0}},
        "fs": {"data": [{"path": "/a"}]},
        "jvm": {"mem": {}},
        "indexing_pressure": {},
        "search_backpressure": {"mode": "disabled"},
    }
    (read,) = read_load(stats(id1=bare), settings={}, graphs={}, copies=None).nodes
    assert (read.cpu, read.heap, read.disk, read.breakers) == (None, None, None, {})
    assert (read.graph_bytes, read.graph_limit_bytes) == (None, None)


def test_a_processor_share_that_the_jvm_does_not_know_is_taken_from_the_machine() -> None:
    odd = node("n1", process={"cpu": {"percent": -1}})
    (read,) = read_load(stats(id1=odd), settings={}, graphs={}, copies=None).nodes
    assert read.cpu == 0.97


def test_a_parent_breaker_that_others_have_promised_away_counts_by_their_promises() -> None:
    full = node("n1")
    full["breakers"]["request"]["estimated_size_in_bytes"] = 2 * GIB
    (read,) = read_load(stats(id1=full), settings={}, graphs={}, copies=None).nodes
    assert read.breakers["parent"] == 0.5


@pytest.mark.parametrize(
    ("watermark", "enforced", "floor"),
    [
        ("85%", True, 15 * GIB),
        ("0.9", True, 10 * GIB),
        ("20gb", True, 20 * GIB),
        ("500MB", True, 500 * 1024**2),
        ("92.5%", True, 7.5 * GIB),
        (None, True, 15 * GIB),
        ("nonsense", True, 15 * GIB),
        ("85%", False, 5 * GIB),
    ],
)
def test_a_low_watermark_is_a_share_used_or_a_size_free(
    watermark: str | None, enforced: bool, floor: float
) -> None:
    assert floor_bytes(watermark, 100 * GIB, enforced=enforced) == pytest.approx(floor, abs=2)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1024", 1024), ("1kb", 1024), ("1.5g", 1.5 * GIB), ("2TB", 2048 * GIB), ("many", None)],
)
def test_sizes_are_read_as_the_cluster_reads_them(text: str, size: float | None) -> None:
    assert size_bytes(text) == size


def test_the_limit_of_graphs_is_a_share_of_memory_or_a_size() -> None:
    assert memory_bytes("50%", 20 * GIB) == 10 * GIB
    assert memory_bytes("3gb", 20 * GIB) == 3 * GIB


Answering = Callable[..., Cluster]


def test_a_user_who_may_see_nothing_gets_no_figures_and_the_reason_for_each(
    answering: Answering,
) -> None:
    body = {"error": {"type": "security_exception", "reason": "no permissions for [stats]"}}
    load = OpenSearchLoad(answering(403, body)).of("products")
    assert load.nodes == ()
    assert load.refused is None
    assert len(load.missing) == 4
    assert all("no permissions for [stats]" in sentence for sentence in load.missing)


def test_settings_that_are_not_shown_leave_the_other_figures(answering: Answering) -> None:
    def body(path: str) -> object:
        if path.startswith("/_nodes"):
            return stats(id1=node("n1"))
        return {} if "_knn" in path or "_cluster" in path else {"indices": {}}

    (read,) = OpenSearchLoad(answering(200, body)).of("products").nodes
    assert read.cpu == 0.41
    assert read.graph_limit_bytes is None


def test_where_the_settings_stand_is_asked_once_a_minute_and_the_figures_each_time(
    answering: Answering,
) -> None:
    paths: list[str] = []

    def body(path: str) -> object:
        paths.append(path)
        return stats(id1=node("n1")) if path.startswith("/_nodes") else {}

    now = [0.0]
    load = OpenSearchLoad(answering(200, body), monotonic=lambda: now[0])
    for moment in (0.0, 1.0, 59.0, 61.0):
        now[0] = moment
        load.of("products")
    assert sum(path.startswith("/_nodes/stats") for path in paths) == 4
    assert sum(path.startswith("/_cluster/settings") for path in paths) == 2
    assert sum(path.startswith("/products/_stats") for path in paths) == 2


def test_the_strongest_level_of_a_setting_counts(answering: Answering) -> None:
    low = f"{DISK}watermark.low"

    def body(path: str) -> object:
        if path.startswith("/_nodes"):
            return stats(id1=node("n1"))
        if path.startswith("/_cluster"):
            return {
                "defaults": {low: "85%"},
                "persistent": {low: "80%"},
                "transient": {low: "70%"},
            }
        return {}

    (read,) = OpenSearchLoad(answering(200, body)).of("products").nodes
    assert read.disk is not None
    assert read.disk.floor_bytes == pytest.approx(30 * GIB, abs=2)


@pytest.mark.parametrize(
    ("status", "error"), [(429, EngineBusyError), (503, EngineUnavailableError)]
)
def test_a_cluster_too_busy_to_say_how_busy_it_is_is_no_missing_figure(
    answering: Answering, status: int, error: type[Exception]
) -> None:
    body = json.dumps({"error": {"type": "es_rejected_execution_exception", "reason": "full"}})
    with pytest.raises(error):
        OpenSearchLoad(answering(status, body.encode())).of("products")


@pytest.mark.opensearch
def test_a_real_node_says_how_loaded_it_is(opensearch_url: str, index_prefix: str) -> None:
    engine = OpenSearchEngine(OpenSearchSettings(url=opensearch_url))
    assert isinstance(engine, MeasuresLoad)
    index = f"{index_prefix}load"
    engine.create_index(index, ["title"])
    engine.index_documents(index, [Document(document_id="1", fields={"title": "a"})])
    load = engine.load(index)
    assert load.missing == ()
    assert load.silent_nodes == 0
    assert not load.embedded
    (read,) = load.nodes
    assert read.part == 1.0
    assert read.cpu is not None
    assert 0 <= read.cpu <= 1
    assert read.heap is not None
    assert 0 < read.heap < 1
    assert read.heap_bytes is not None
    assert read.heap_bytes >= 100 * 1024**2
    assert 0 <= read.breakers["parent"] < 1
    assert read.disk is not None
    assert 0 < read.disk.available_bytes <= read.disk.total_bytes
    assert 0 < read.disk.floor_bytes < read.disk.total_bytes
    assert read.graph_bytes == 0, "lucene keeps no graph in native memory"
    assert read.graph_limit_bytes is not None
    assert load.refused is not None
    assert {name.rpartition(" by ")[0] for name in load.refused} >= {
        "searches rejected",
        "writes rejected",
        "writes refused for indexing pressure",
        "searches cancelled for back-pressure",
    }
    assert not load.graph_breaker_tripped
    engine.close()
