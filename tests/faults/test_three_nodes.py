"""Invariants 1, 2, 4 and 19 when a node dies: three real nodes, replicas, kill -9."""

import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from load_application import Writer
from load_run import prepare, stale_documents
from three_nodes import ThreeNodes, three_nodes

from desireline.connectors.documents import Document
from desireline.connectors.errors import EngineUnavailableError
from desireline.sidecar.config import load_config
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.steering.steps import Step
from desireline.sidecar.wiring import open_sidecar

pytestmark = [pytest.mark.slow, pytest.mark.opensearch, pytest.mark.timeout(1800)]

#: The first node answers and holds nothing of the index, so that a kill hits its holders only.
_SETTINGS = {
    "index.knn": True,
    "number_of_shards": 1,
    "number_of_replicas": 1,
    "index.routing.allocation.exclude._name": "asked",
}


DOCUMENTS = [
    Document(document_id=f"pinned-{n}", fields={"title": f"red shoe {n}"}) for n in range(200)
]


def make_index(cluster: ThreeNodes, index: str, replication: str) -> None:
    settings = {**_SETTINGS, "index.replication.type": replication}
    mappings = {"properties": {"title": {"type": "text"}}}
    cluster.call("PUT", f"/{index}", {"settings": settings, "mappings": mappings})


def slow_writer(cluster: ThreeNodes, index: str, enough: threading.Event) -> Writer:
    return Writer(
        name="writer",
        url=cluster.url,
        index=index,
        keys=300,
        batch=20,
        seed=7,
        goes_on=lambda _: not enough.wait(0.05),
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[ThreeNodes]:
    java_home = os.environ.get("OPENSEARCH_JAVA_HOME")
    try:
        with three_nodes(Path(java_home) if java_home else None) as cluster:
            yield cluster
    except EngineUnavailableError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no OpenSearch: {error}")


@pytest.mark.parametrize("replication", ["DOCUMENT", "SEGMENT"])
@pytest.mark.parametrize(
    ("step", "times"),
    [(Step.BATCH_WRITTEN, 3), (Step.CAUGHT_UP, 1), (Step.CUT_OVER_BEGUN, 1)],
    ids=["mid-backfill", "caught up", "mid-cut-over"],
)
def test_a_run_outlives_the_node_that_holds_the_primary(
    cluster: ThreeNodes, tmp_path: Path, step: Step, times: int, replication: str
) -> None:
    index = f"jobs-{uuid.uuid4().hex[:8]}"
    config, models = prepare(tmp_path, cluster.url, index, create=False, batch_size=32)
    make_index(cluster, index, replication)
    passed = 0

    def kills_the_primary(reached: Step) -> None:
        nonlocal passed
        passed += reached is step
        if reached is step and passed == times:
            cluster.primary_of(index).kill()

    enough = threading.Event()
    writer = slow_writer(cluster, index, enough)
    writing = threading.Thread(target=writer.work, daemon=True)
    with closing(open_sidecar(load_config(config))) as sidecar:
        sidecar.parts("jobs").engine.index_documents(index, DOCUMENTS)
        sidecar.reindex("jobs", models[0], SilentReporter())
    writing.start()
    with closing(open_sidecar(load_config(config), reached=kills_the_primary)) as sidecar:
        sidecar.reindex("jobs", models[1], SilentReporter())
        assert passed >= times
        enough.set()
        writing.join()
        assert (writer.failure, writer.seen) == (None, [])
        cluster.mend()
        writer.look_at_all()
        assert writer.seen == []
        assert sum(writer.history.acknowledged.values()) > 0
        assert sidecar.live("jobs").fingerprint == models[1]
        assert stale_documents(sidecar, index) == 0
        assert sidecar.search("jobs", "red shoe", 10)[1]
    cluster.call("DELETE", f"/{index}")
