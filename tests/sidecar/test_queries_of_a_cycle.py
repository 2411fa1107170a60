"""In a cycle the incumbent is asked for a query once, and an adapter is handed what it made."""

import dataclasses
import json
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from desireline.connectors.documents import Document
from desireline.sidecar.building import put_live
from desireline.sidecar.config import load_config
from desireline.sidecar.cycle import run_cycle
from desireline.sidecar.errors import WorkerError
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.serving.encoders import EncoderPool
from desireline.sidecar.wiring import open_sidecar
from desireline.trainer.encoders.wrapping import WrappingEncoder
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.pairs import PairSet
from desireline.trainer.query_vectors import QueryVectors

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WORDS = ["red", "blue", "shoe", "running", "garden", "nurse", "software", "engineer"]
CONFIG = """
[targets.shop]
index = "shop"
text = ["title"]
model = "tiny"
logs = { kind = "files", path = "clicks.ndjson" }
[targets.shop.tune]
mode = "MODE"
min_clicks = 1
min_pairs = 1
miners = ["clicked", "engine_negatives"]
[targets.shop.gate]
general = false
"""


class CountingEncoder(WrappingEncoder):
    """An encoder that keeps every query it was asked for."""

    def __init__(self, encoder, asked):
        super().__init__(encoder)
        self._asked = asked

    def encode_queries(self, texts):
        self._asked.update(texts)
        return self._encoder.encode_queries(texts)


class Asked:
    """In the place of the child process: reads the job's files, counts, and trains nothing."""

    def __init__(self, asked):
        self._asked = asked
        self.jobs = []

    def run(self, job, reporter):
        self.jobs.append(job)
        self.counted = Counter(self._asked)
        self.anchors = sorted({pair.anchor for pair in PairSet.read(job.pairs).pairs})
        self.known = job.queries and QueryVectors.read(
            job.queries, encoder=job.encoder, dimension=16, unit=False
        )
        raise WorkerError("enough was seen")


def write_clicks(path):
    """Eight people search for each word, one every second day, and click what is named so."""
    with path.open("w") as file:
        for number, (word, person) in enumerate((word, p) for word in WORDS for p in range(8)):
            at = (NOW - timedelta(days=1 + 2 * person, minutes=number)).isoformat()
            both = {"query_id": f"q{number}", "client": f"person-{person}", "at": at}
            for record in (
                {"type": "query", "text": f"{word} of 42", "shown": WORDS, **both},
                {"type": "click", "document_id": word, "position": 1, **both},
            ):
                file.write(json.dumps(record) + "\n")


@pytest.fixture
def turn(tmp_path, exported_static):
    """Turn the wheel as far as the child process; return what was asked of whom."""

    def turn(mode, *, over_an_adapter=False):
        (tmp_path / "desireline.toml").write_text(CONFIG.replace("MODE", mode))
        write_clicks(tmp_path / "clicks.ndjson")
        config = load_config(tmp_path / "desireline.toml")
        asked = Counter()
        with closing(open_sidecar(config, clock=lambda: NOW)) as sidecar:
            parts = sidecar.parts("shop")
            parts.engine.create_index("shop", ["title"])
            documents = [Document(document_id=w, fields={"title": f"the {w}"}) for w in WORDS]
            parts.engine.index_documents("shop", documents)
            common = {"template": parts.config.template, "similarity": "cosine"}
            made = Provenance(base_model="tiny", mode="base")
            live = base = parts.registry.add(exported_static, provenance=made, **common).fingerprint
            if over_an_adapter:
                live = parts.registry.add(
                    exported_static, provenance=made, documents=base, **common
                ).fingerprint
            with parts.owned() as lease:
                put_live(parts, live, lease, SilentReporter(), reason="the first")
            worker = Asked(asked)
            pool = parts.encoders
            counted = EncoderPool(lambda name: CountingEncoder(pool.get(name), asked), keep=4)
            parts = dataclasses.replace(parts, worker=worker, encoders=counted)
            with pytest.raises(WorkerError, match="enough was seen"):
                run_cycle(parts, SilentReporter())
            worker.made = pool.get(base).encode_queries(worker.anchors)
        return worker

    return turn


def test_up_to_training_no_query_is_encoded_twice_and_an_adapter_finds_all_its_anchors(turn):
    worker = turn("adapter")
    assert worker.anchors
    assert {worker.counted[anchor] for anchor in worker.anchors} == {1}
    assert set(worker.counted.values()) == {1}

    def never(queries):
        raise AssertionError(f"{len(queries)} anchors are missing")

    found = worker.known.complete(worker.anchors, never)
    np.testing.assert_allclose(found, worker.made, atol=1e-6)


def test_where_an_adapter_serves_its_vectors_are_not_handed_on_as_those_of_the_base(turn):
    worker = turn("adapter", over_an_adapter=True)
    assert worker.jobs[0].queries is None


@pytest.mark.parametrize("mode", ["query", "full"])
def test_other_modes_are_handed_no_vectors_of_queries(turn, mode):
    assert turn(mode).jobs[0].queries is None
