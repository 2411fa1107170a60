"""What only a real node can show: mappings, routing, versions, blocks, a killed process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from desireline.connectors.errors import MappingConflictError, StateConflictError
from desireline.connectors.generation_indexes import IndexLabel, IndexOverrides
from desireline.connectors.opensearch_client import Cluster, path
from desireline.connectors.search_engine import Slot
from desireline.sidecar.errors import BackfillError

pytestmark = pytest.mark.opensearch
HERE = Path(__file__).parent


def get(cluster: Cluster, index: str, document_id: str, **params: str) -> Any:
    return cluster.call("GET", path(index, "_doc", document_id), params=params)


def test_fields_and_routing_are_the_same_to_the_last_digit(
    node_shop: Any, cluster: Cluster
) -> None:
    """Invariant 3."""
    cluster.call(
        "PUT",
        path(node_shop.index, "_doc", "odd"),
        params={"routing": "somewhere", "refresh": "true"},
        body=b'{"z":{"deep":[{"n":1.10}]},"title":"odd","n":0.12345678901234567,"a":null,"e":[]}',
    )
    before = get(cluster, node_shop.alias, "odd", routing="somewhere")
    node_shop.reindex()
    after = get(
        cluster,
        node_shop.alias,
        "odd",
        routing="somewhere",
        _source_excludes="embedding__a,embedding__a_stamp",
    )
    assert after["_index"] != before["_index"]
    assert after["_source"] == before["_source"]
    assert after["_routing"] == "somewhere"


def test_required_routing_is_kept(node_shop: Any, cluster: Cluster) -> None:
    index = f"{node_shop.index}-routed"
    body = {
        "settings": {"index.knn": True, "number_of_shards": 2, "number_of_replicas": 0},
        "mappings": {"_routing": {"required": True}, "properties": {"title": {"type": "text"}}},
        "aliases": {f"{node_shop.alias}-routed": {}},
    }
    cluster.call("PUT", path(index), body=body)
    for routing in ("a", "b", "c"):
        cluster.call(
            "PUT",
            path(index, "_doc", "same"),
            params={"routing": routing, "refresh": "true"},
            body={"title": f"routed {routing}"},
        )
    count = node_shop.engine.count(index)
    assert count >= 2  # one id, in each of the shards its routings lead to
    node_shop.alias += "-routed"
    node_shop.reindex()
    assert node_shop.engine.count(node_shop.alias) == count
    held = get(cluster, node_shop.alias, "same", routing="c")
    assert held["_source"]["title"] == "routed c"
    node_shop.config = {"new_index_settings": {"number_of_shards": 3}}
    with pytest.raises(BackfillError, match="two with one id may meet"):
        node_shop.reindex(1)


def test_shards_and_analysis_may_differ(node_shop: Any, cluster: Cluster) -> None:
    node_shop.config = {
        "new_index_settings": {"number_of_shards": 1, "index.refresh_interval": "7s"},
        "new_index_mappings": {
            "properties": {"title": {"type": "text", "analyzer": "english"}},
        },
    }
    node_shop.reindex()
    (held,) = cluster.call("GET", path(node_shop.alias), params={"flat_settings": "true"}).values()
    settings, mapping = held["settings"], held["mappings"]
    assert settings["index.number_of_shards"] == "1"
    assert settings["index.refresh_interval"] == "7s"
    assert settings["index.analysis.analyzer.plain.tokenizer"] == "standard"
    assert "index.gc_deletes" not in settings
    assert mapping["properties"]["title"]["analyzer"] == "english"
    assert mapping["_meta"]["owner"] == "shop"
    assert node_shop.engine.search_text(node_shop.alias, [("title", 1.0)], "jobs", 3)
    node_shop.is_whole()


def test_every_alias_moves_with_its_filter(node_shop: Any, cluster: Cluster) -> None:
    view = f"{node_shop.alias}-view"
    how = {"filter": {"term": {"title": "1"}}, "index_routing": "x", "search_routing": "x"}
    cluster.call(
        "POST",
        "/_aliases",
        body={"actions": [{"add": {"index": node_shop.index, "alias": view, **how}}]},
    )
    node_shop.reindex()
    held = cluster.call("GET", path("_alias", view))
    assert held == {node_shop.live().index: {"aliases": {view: how}}}


def test_the_applications_numbers_are_kept_in_the_new_index(
    node_shop: Any, cluster: Cluster
) -> None:
    """Invariants 3 and 6."""
    for n in range(10):
        write_numbered(cluster, node_shop.alias, f"d{n}", 5_000_000 + n, f"numbered {n}")
    node_shop.reindex()
    assert get(cluster, node_shop.alias, "d3")["_version"] == 5_000_003
    write_numbered(cluster, node_shop.alias, "d3", 5_000_020, "after the swap")
    follow(node_shop)
    held = get(cluster, node_shop.alias, "d3")
    assert held["_version"] == 5_000_020
    assert held["_source"]["embedding__a_stamp"]["generation"] == 1
    write_numbered(cluster, node_shop.alias, "d3", 5_000_021, "no conflict caused by us")
    follow(node_shop)
    node_shop.is_whole()


def write_numbered(cluster: Cluster, index: str, document_id: str, number: int, title: str) -> None:
    cluster.call(
        "PUT",
        path(index, "_doc", document_id),
        params={"version": str(number), "version_type": "external", "refresh": "true"},
        body={"title": title},
    )


def follow(shop: Any) -> None:
    from desireline.sidecar.catchup import catch_up

    target = shop.target
    with target.owned() as lease:
        live = shop.live()
        caught = catch_up(shop.engine, live.index, live.fence, [target.writer_for(live, lease)])
        target.generations.change(live, caught_up=caught.fence.to_json())


def test_a_concrete_index_is_refused_with_what_to_do(node_shop: Any) -> None:
    node_shop.alias = node_shop.index
    with pytest.raises(BackfillError, match="give the application an alias of it"):
        node_shop.reindex()
    assert node_shop.states() == {}


def test_what_could_not_be_copied_is_refused_by_name(node_shop: Any, cluster: Cluster) -> None:
    index = f"{node_shop.index}-lossy"
    body = {
        "settings": {"number_of_replicas": 0, "index.final_pipeline": "scrub"},
        "mappings": {
            "_source": {"excludes": ["secret"]},
            "properties": {"secret": {"type": "text"}},
        },
    }
    cluster.call("PUT", path(index), body=body)
    first, second = node_shop.engine.copy_obstacles(index, IndexOverrides())
    assert "final_pipeline 'scrub'" in first
    assert "leaves secret out of its _source" in second


def test_a_stranger_of_the_same_name_is_left_as_it_is(node_shop: Any, cluster: Cluster) -> None:
    name = f"{node_shop.alias}-gen-1"
    cluster.call("PUT", path(name), body={"settings": {"number_of_replicas": 0}})
    with pytest.raises(MappingConflictError, match="not the one of generation 1"):
        node_shop.reindex()
    with pytest.raises(MappingConflictError, match="did not make it"):
        node_shop.engine.drop_generation_index(name)
    assert cluster.call("GET", path(name))


def test_the_alias_moves_only_with_its_ticket(node_shop: Any) -> None:
    """Invariant 10: a swap after the writes were let in again cannot happen."""
    engine = node_shop.engine
    label = IndexLabel(
        target="jobs", generation=1, copied_from=node_shop.index, versions="sequence"
    )
    new = f"{node_shop.alias}-gen-1"
    slot = Slot(name="embedding__a", dimension=16)
    engine.create_generation_index(node_shop.index, new, slot, label, IndexOverrides())
    engine.block_writes(node_shop.index, f"{new}-ticket-1-1")
    engine.unblock_writes(node_shop.index)
    with pytest.raises(StateConflictError, match="nothing was swapped"):
        engine.swap_alias(node_shop.alias, node_shop.index, new, f"{new}-ticket-1-1")
    assert engine.alias_state(node_shop.alias).index == node_shop.index
    engine.block_writes(node_shop.index, f"{new}-ticket-1-2")
    engine.swap_alias(node_shop.alias, node_shop.index, new, f"{new}-ticket-1-2")
    assert engine.alias_state(node_shop.alias).index == new
    assert engine.is_blocked(node_shop.index)


@pytest.mark.parametrize(("limit_s", "kill"), [("120", True), ("0.5", False)])
def test_killed_or_too_slow_while_writes_are_held_up_the_watchdog_lets_them_in(
    node_shop: Any, opensearch_url: str, limit_s: str, kill: bool
) -> None:
    """Invariant 11."""
    child = subprocess.Popen(
        [
            *(sys.executable, str(HERE / "blocked_until_killed.py"), opensearch_url),
            *(node_shop.alias, node_shop.index, f"{node_shop.alias}-gen-1", limit_s),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "blocked\n"
        if kill:
            assert node_shop.engine.is_blocked(node_shop.index)
            os.kill(child.pid, signal.SIGKILL)
        began = time.monotonic()
        while node_shop.engine.is_blocked(node_shop.index):
            assert time.monotonic() - began < 60, "nobody let the writes in"
            time.sleep(0.05)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    node_shop.put(after="let in")
