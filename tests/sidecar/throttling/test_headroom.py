"""What does not fit is refused with figures before anything is written."""

from dataclasses import replace

import pytest

from desireline.connectors.engine_load import DiskSpace, EngineLoad, NodeLoad
from desireline.sidecar.throttling.headroom import Need, shortages

GB = 10**9
NEED = Need(documents=1_000_000, dimension=384, index_bytes=GB)
ROOMY = NodeLoad(
    name="n1",
    cpu=0.1,
    heap=0.3,
    heap_bytes=4 * GB,
    breakers={"parent": 0.2},
    disk=DiskSpace(total_bytes=100 * GB, available_bytes=60 * GB, floor_bytes=15 * GB),
    graph_bytes=0,
    graph_limit_bytes=10 * GB,
)


def load(*nodes: NodeLoad) -> EngineLoad:
    return EngineLoad(nodes=nodes)


def test_a_roomy_node_lacks_nothing() -> None:
    assert shortages(load(ROOMY), NEED) == ()
    assert shortages(load(ROOMY), replace(NEED, knn_engine="faiss")) == ()


def test_the_need_counts_vectors_graph_rewritten_documents_and_a_merge_copy() -> None:
    vectors, graph = 1_000_000 * 384 * 4, int(1_000_000 * 32 * 4 * 1.1)
    assert NEED.slot_bytes == vectors + graph
    assert NEED.disk_bytes(1) == 2 * (GB + vectors + graph)
    big = replace(NEED, index_bytes=100 * GB)
    assert big.disk_bytes(2) == 100 * GB + vectors + graph + 10 * 1024**3


def test_a_disk_that_would_pass_its_low_watermark_is_refused() -> None:
    """Invariant 22."""
    tight = replace(
        ROOMY, disk=DiskSpace(total_bytes=100 * GB, available_bytes=20 * GB, floor_bytes=15 * GB)
    )
    (sentence,) = shortages(load(ROOMY, tight), NEED)
    assert sentence.startswith("node n1 needs 5.35 GB of disk")
    assert "has 5.00 GB under its low watermark" in sentence


def test_a_node_that_holds_less_of_the_index_needs_less() -> None:
    disk = DiskSpace(total_bytes=100 * GB, available_bytes=18 * GB, floor_bytes=15 * GB)
    whole, half = replace(ROOMY, disk=disk), replace(ROOMY, disk=disk, part=0.5)
    assert shortages(load(whole), NEED)
    assert shortages(load(half), NEED) == ()


def test_a_disk_below_its_watermark_has_no_room_at_all() -> None:
    full = replace(
        ROOMY, disk=DiskSpace(total_bytes=100 * GB, available_bytes=GB, floor_bytes=15 * GB)
    )
    assert "has 0.00 GB under" in shortages(load(full), NEED)[0]


def test_native_memory_of_a_second_faiss_graph_must_fit_under_the_breaker() -> None:
    full = replace(ROOMY, graph_bytes=9 * GB)
    (sentence,) = shortages(load(full), replace(NEED, knn_engine="faiss"))
    assert "needs 1.83 GB of native memory" in sentence
    assert "1.00 GB left" in sentence
    assert "limit of 10.00 GB" in sentence
    assert shortages(load(full), NEED) == (), "lucene keeps its graph elsewhere"


def test_a_lucene_graph_must_be_merged_within_the_heap() -> None:
    small = replace(ROOMY, heap_bytes=GB, heap=0.7)
    (sentence,) = shortages(load(small), NEED)
    assert "of heap to merge the graph" in sentence
    assert "0.25 GB left under its parent circuit breaker" in sentence


def test_a_larger_index_merges_no_larger_graph_than_one_segment_holds() -> None:
    huge = replace(NEED, documents=1_000_000_000, index_bytes=0)
    assert huge.heap_bytes(1) < 2 * replace(huge, documents=5_000_000).heap_bytes(1)


def test_what_cannot_be_measured_is_not_called_short() -> None:
    assert shortages(load(NodeLoad(name="n1")), NEED) == ()
    assert shortages(load(), NEED) == ()


def test_a_tripped_breaker_is_refused_whatever_room_there_is() -> None:
    tripped = EngineLoad(nodes=(ROOMY,), graph_breaker_tripped=True)
    assert "circuit breaker has tripped" in shortages(tripped, NEED)[0]


@pytest.mark.parametrize(("written", "left"), [(0, 1.0), (250_000, 0.75), (2_000_000, 0.0)])
def test_what_is_left_to_write_shrinks_as_documents_are_written(written: int, left: float) -> None:
    assert NEED.left_bytes(written) == pytest.approx(left * (GB + NEED.slot_bytes), rel=1e-6)


def test_a_run_that_resumes_needs_room_for_the_rest_alone() -> None:
    disk = DiskSpace(total_bytes=100 * GB, available_bytes=16 * GB, floor_bytes=15 * GB)
    assert shortages(load(replace(ROOMY, disk=disk)), NEED)
    assert shortages(load(replace(ROOMY, disk=disk)), NEED.after(900_000)) == ()


def test_an_empty_index_needs_nothing() -> None:
    empty = Need(documents=0, dimension=384, index_bytes=0)
    assert (empty.disk_bytes(1), empty.left_bytes(0), empty.heap_bytes(1)) == (0, 0, 0)
