"""kill -9 at every step of a re-embedding, then the same command again: the same end."""

import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from desireline.connectors.documents import Document, digest
from desireline.connectors.search_engine import Read
from desireline.sidecar.config import load_config
from desireline.sidecar.generations import State
from desireline.sidecar.reporting import SilentReporter
from desireline.sidecar.wiring import open_sidecar

HERE = Path(__file__).parent
POINTS = json.loads((HERE / "kill_points.json").read_text())
DOCUMENTS = [
    Document(
        document_id=f"d{n}",
        fields={"title": f"baker {n}", "description": "bread and cake" * (n % 3)},
    )
    for n in range(40)
]


def names(point: dict) -> str:
    return point["name"].replace(" ", "-")


def write_config(folder: Path, cluster: str, index: str, model: Path) -> Path:
    path = folder / "desireline.toml"
    path.write_text(
        f"""
[cluster]
{cluster}
[targets.jobs]
index = "{index}"
text = ["title", "description"]
model = "{model}"
swap = {{ batch_size = 10, replica_wait = "1s", lease_ttl = "5s" }}
"""
    )
    return path


def survives(point: dict, config: Path, index: str, other_model: Path) -> None:
    with closing(open_sidecar(load_config(config))) as sidecar:
        engine = sidecar.parts("jobs").engine
        engine.create_index(index, ["title", "description"])
        engine.index_documents(index, DOCUMENTS)
        sidecar.reindex("jobs", None, SilentReporter())
    killed = subprocess.run(
        [
            *(sys.executable, str(HERE / "reindex_until_killed.py")),
            *(str(config), str(other_model), json.dumps(point)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    with closing(open_sidecar(load_config(config))) as sidecar:
        before = sidecar.live("jobs")
        assert before.number in {1, 2}
        assert before.search(sidecar.parts("jobs").engine, "baker", 5)
        if before.number == 1:
            sidecar.reindex("jobs", str(other_model), SilentReporter())
        assert_same_end(sidecar, index)


def assert_same_end(sidecar, index: str) -> None:
    parts = sidecar.parts("jobs")
    parts.generations.reconcile(parts.clock())
    live = sidecar.parts("jobs").generations.live()
    states = {g.number: g.state for g in parts.generations.all()}
    assert states == {1: State.RETAINED, live.number: State.LIVE}
    assert live.slot == "embedding__b"
    template = parts.config.template
    read = Read(fields=template.fields, slots=(live.slot,), embeddings=True)
    found = {d.document_id: d for batch in parts.engine.scan(index, read) for d in batch}
    assert found.keys() == {d.document_id for d in DOCUMENTS}
    for document in found.values():
        stamp = document.stamps[live.slot]
        assert stamp.generation == live.number
        assert stamp.digest == digest(template.render(document.fields))
        assert live.slot in document.embeddings
    assert "generation 1 is live" in sidecar.revert("jobs")


@pytest.mark.parametrize("point", POINTS, ids=names)
def test_a_killed_reindex_ends_as_if_it_had_not_been(point, tmp_path, tiny_static, tiny_bert):
    config = write_config(tmp_path, 'engine = "lancedb"', "jobs", tiny_static)
    survives(point, config, "jobs", tiny_bert)


@pytest.mark.opensearch
@pytest.mark.parametrize("point", [p for p in POINTS if p.get("on_opensearch")], ids=names)
def test_a_killed_reindex_of_opensearch_ends_as_if_it_had_not_been(
    point, tmp_path, tiny_static, tiny_bert, opensearch_url, index_prefix
):
    index = f"{index_prefix}jobs"
    config = write_config(
        tmp_path, f'url = "{opensearch_url}"\nstate = "{index}"', index, tiny_static
    )
    survives(point, config, index, tiny_bert)
