"""What the child process is asked for in each mode, and where each begins."""

import dataclasses
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from desireline.connectors.documents import Document
from desireline.sidecar.config import load_config
from desireline.sidecar.errors import WorkerError
from desireline.sidecar.judging.evidence import HeldOutTruth
from desireline.sidecar.learning.documents_alone import Teaching
from desireline.sidecar.reports.cycle_report import Diary
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.training import Start, train
from desireline.sidecar.wiring import open_sidecar
from desireline.trainer.documents.vectors import DocumentVectors
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.pairs import Pair, Passage, merge
from desireline.trainer.sessions import to_sessions

TITLES = {"d1": "red shoe", "d2": "blue garden", "d3": ""}


class Asked:
    """In the place of the child process: keeps what it was asked for."""

    def __init__(self) -> None:
        self.job = None
        self.vectors = None

    def run(self, job, reporter):
        self.job = job
        self.vectors = DocumentVectors.read(job.vectors) if job.vectors else None
        return {"fingerprint": "f" * 64, "seconds": 2.5, "sentence": "learned"}


@pytest.fixture
def parts(tmp_path, exported_static):
    path = tmp_path / "desireline.toml"
    path.write_text(
        '[cluster]\nengine = "lancedb"\n[targets.shop]\nindex = "shop"\ntext = ["title"]\n'
        'model = "tiny"\n'
    )
    with closing(open_sidecar(load_config(path))) as sidecar:
        parts = sidecar.parts("shop")
        parts.engine.create_index("shop", ["title"])
        documents = [Document(document_id=n, fields={"title": t}) for n, t in TITLES.items()]
        parts.engine.index_documents("shop", documents)
        yield dataclasses.replace(parts, worker=Asked())


def add(parts, folder: Path, *, documents=None, **provenance) -> str:
    return parts.registry.add(
        folder,
        template=parts.config.template,
        similarity="cosine",
        provenance=Provenance(base_model="tiny", **provenance),
        documents=documents,
    ).fingerprint


def teaching() -> Teaching:
    pairs = merge([Pair(anchor="red", positive=Passage("d1", "red shoe"), source="t")], {})
    return Teaching(
        pairs=pairs, truth=HeldOutTruth(qrels={}, segments={}), sessions=to_sessions(())
    )


def ask(parts, start, mode):
    diary = Diary(parts.store, parts.name, SilentReporter(), parts.clock)
    return train(parts, teaching(), start, diary, mode=mode, budget_s=9.0), parts.worker.job


@pytest.mark.parametrize("mode", ["adapter", "query"])
def test_a_query_side_begins_with_the_documents_encoder_never_with_what_was_trained_over_it(
    parts, exported_static, mode
):
    base = add(parts, exported_static)
    adapter = add(parts, exported_static, documents=base, parent=base, mode="adapter")
    assert adapter != base
    start = Start.of(parts, base=base, incumbent=adapter)
    candidate, job = ask(parts, start, mode)
    assert (job.documents, job.base) == (base, parts.registry.folder(base))
    assert (job.provenance.parent, job.provenance.mode) == (base, mode)
    assert job.config.budget_s == 9.0
    assert (candidate.seconds, candidate.leaves_documents) == (2.5, True)
    assert parts.worker.vectors.document_ids == ("d1", "d2")
    np.testing.assert_array_equal(
        parts.worker.vectors.vectors,
        parts.encoders.get(base).encode_documents(["red shoe", "blue garden"]),
    )


@pytest.mark.parametrize("mode", ["lora", "full"])
def test_what_changes_documents_begins_with_the_configured_encoder(parts, exported_static, mode):
    base = add(parts, exported_static)
    adapter = add(parts, exported_static, documents=base, parent=base, mode="adapter")
    candidate, job = ask(parts, Start.of(parts, base=base, incumbent=adapter), mode)
    assert (job.documents, job.vectors) == (None, None)
    assert job.base == parts.registry.folder(base)
    assert (job.provenance.parent, job.config.mode) == (base, mode)
    assert not candidate.leaves_documents


def test_over_the_vectors_of_an_int8_form_its_parents_weights_learn(
    parts, exported_static, exported_bert
):
    parent = add(parts, exported_bert)
    int8 = add(parts, exported_static, parent=parent, precision="int8")
    _, job = ask(parts, Start.of(parts, base=parent, incumbent=int8), "adapter")
    assert (job.documents, job.base) == (int8, parts.registry.folder(parent))


def test_a_child_that_fails_leaves_nothing_behind(parts, exported_static):
    base = add(parts, exported_static)

    class Fails:
        def run(self, job, reporter):
            raise WorkerError("no memory")

    failing = dataclasses.replace(parts, worker=Fails())
    with pytest.raises(WorkerError):
        ask(failing, Start.of(parts, base=base, incumbent=base), "adapter")
    assert [path.name for path in parts.registry.root.iterdir()] == [base]
