import io
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from desireline.connectors.documents import TextTemplate
from desireline.trainer.errors import NothingToLearnError, TrainerError
from desireline.trainer.jobs import FitConfig, FitJob, write_job
from desireline.trainer.pairs import Pair, Passage, merge

torch = pytest.importorskip("torch", reason="needs desireline[trainer]")
WORDS = ["red", "blue", "shoe", "running", "garden", "nurse", "software", "engineer"]
DOCUMENTS = {word: Passage(word, f"the {word} of 42") for word in WORDS}
NEW = {"cm": "garden", "in": "nurse", "for": "shoe"}
"""What users mean by a word that the encoder knows nothing of."""


def lessons():
    own = [Pair(anchor=word, positive=DOCUMENTS[word], source="t") for word in WORDS]
    new = [Pair(anchor=word, positive=DOCUMENTS[of], source="t") for word, of in NEW.items()]
    return merge(own + new, {})


@pytest.fixture
def job(tmp_path, tiny_static) -> FitJob:
    lessons().write(tmp_path / "pairs")
    return FitJob(
        base=tiny_static,
        pairs=tmp_path / "pairs",
        out=tmp_path / "out",
        registry=tmp_path / "registry",
        template=("title",),
        provenance={"base_model": "tiny"},
        config=FitConfig(
            max_steps=40, epochs=100, learning_rate=0.05, batch_documents=8, precision="float32"
        ),
    )


def best_answers(folder: Path) -> dict[str, str]:
    from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder
    from desireline.trainer.evaluation import rank_exact

    encoder = SentenceTransformerEncoder(folder)
    documents = {word: passage.text for word, passage in DOCUMENTS.items()}
    return {
        query: found[0] for query, found in rank_exact(encoder, list(NEW), documents, k=1).items()
    }


def tune(*arguments, **more):
    from desireline.trainer.training.tuning import tune as real

    return real(*arguments, **more)


def test_an_encoder_learns_what_users_mean(job, tiny_static):
    steps = []
    tuned = tune(job, lambda done, total, loss: steps.append((done, total)))
    assert best_answers(tiny_static) != NEW
    assert best_answers(tuned.folder) == NEW
    assert steps[0] == (1, tuned.steps)
    assert steps[-1] == (tuned.steps, tuned.steps)
    assert tuned.last_loss < tuned.first_loss


def test_the_trained_folder_holds_no_pickle_and_nothing_is_left_beside_it(job):
    tune(job)
    files = {path.suffix for path in job.out.rglob("*") if path.is_file()}
    assert files <= {".safetensors", ".json", ".txt"}
    assert sorted(path.name for path in job.out.parent.iterdir()) == ["out", "pairs"]


def weights(folder):
    from safetensors.numpy import load_file

    return {path: load_file(path) for path in sorted(folder.rglob("*.safetensors"))}


def test_a_transformer_trains_but_for_its_word_vectors_and_the_same_twice(job, tiny_bert, tmp_path):
    jobs = [
        job.model_copy(
            update={"base": tiny_bert, "out": tmp_path / name, "config": FitConfig(max_steps=3)}
        )
        for name in ("one", "two")
    ]
    one, two, before = (
        next(iter(weights(folder).values()))
        for folder in (tune(jobs[0]).folder, tune(jobs[1]).folder, tiny_bert)
    )
    assert one.keys() == before.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)
        assert ("embeddings" in name) == np.array_equal(one[name], before[name]) or (
            "pooler" in name
        ), name


def test_the_share_of_tuned_weights_lies_between_base_and_tuned(job, tiny_static, tmp_path):
    full = tune(job).folder
    half_job = job.model_copy(
        update={
            "out": tmp_path / "half",
            "config": job.config.model_copy(update={"tuned_share": 0.5}),
        }
    )
    half = tune(half_job).folder
    base, tuned, mixed = (next(iter(weights(f).values())) for f in (tiny_static, full, half))
    for name in mixed:
        np.testing.assert_allclose(mixed[name], (base[name] + tuned[name]) / 2, atol=1e-5)


def test_a_spent_budget_ends_training_in_good_order_and_says_so(job):
    limited = job.model_copy(update={"config": job.config.model_copy(update={"budget_s": 5.0})})
    ticks = itertools.count()
    tuned = tune(limited, clock=lambda: float(next(ticks)))
    assert 0 < tuned.steps < tuned.planned_steps
    assert "budget spent" in tuned.sentence
    assert tuned.folder.is_dir()


def test_an_interrupt_leaves_no_trace(job):
    def interrupt(done, total, loss):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(job, interrupt)
    assert [path.name for path in job.out.parent.iterdir()] == ["pairs"]


def test_a_diverged_training_is_refused(job):
    wild = job.model_copy(update={"config": job.config.model_copy(update={"learning_rate": 1e38})})
    with pytest.raises(TrainerError, match="diverged"):
        tune(wild)
    assert not job.out.exists()


def test_a_trained_encoder_is_never_written_over(job):
    job.out.mkdir()
    with pytest.raises(TrainerError, match="exists already"):
        tune(job)


@pytest.mark.parametrize("pairs", [[], [Pair(anchor="a", positive=DOCUMENTS["red"], source="t")]])
def test_too_little_to_learn_from_is_said(job, pairs):
    merge(pairs, {}).write(job.pairs)
    with pytest.raises(NothingToLearnError):
        tune(job)


def test_missing_pairs_are_said(job, tmp_path):
    with pytest.raises(NothingToLearnError, match="cannot be read"):
        tune(job.model_copy(update={"pairs": tmp_path / "none"}))


def in_child(path: Path) -> tuple[int, list[dict]]:
    done = subprocess.run(
        [sys.executable, "-m", "desireline.trainer.worker", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        check=False,
        timeout=300,
        input=None,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def held_open(monkeypatch):
    """Keep the child's standard input open while it works, as the sidecar does."""

    def run(path: Path) -> tuple[int, list[dict]]:
        child = subprocess.Popen(
            [sys.executable, "-m", "desireline.trainer.worker", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        lines = [json.loads(line) for line in child.stdout]
        child.stdin.close()
        return child.wait(timeout=60), lines

    return run


def test_the_child_process_trains_exports_and_registers(job, tmp_path, held_open):
    from desireline.trainer.registry import Registry

    write_job(job, tmp_path / "job.json")
    status, events = held_open(tmp_path / "job.json")
    assert status == 0
    assert {event["event"] for event in events[:-1]} == {"progress"}
    assert events[0].keys() == {"event", "name", "done", "total", "loss"}
    result = events[-1]
    assert result["event"] == "result"
    registry = Registry(tmp_path / "registry")
    assert registry.get(result["fingerprint"]).text_template == TextTemplate(fields=("title",))
    assert not job.out.exists()


def test_the_child_process_says_what_went_wrong(job, tmp_path, held_open):
    write_job(job.model_copy(update={"pairs": tmp_path / "none"}), tmp_path / "job.json")
    status, events = held_open(tmp_path / "job.json")
    assert status == 1
    assert [event["event"] for event in events] == ["error"]
    assert "cannot be read" in events[0]["message"]


def test_the_child_process_ends_when_nobody_wants_its_result(job, tmp_path):
    long = job.model_copy(
        update={"config": job.config.model_copy(update={"max_steps": 10**6, "epochs": 1e9})}
    )
    write_job(long, tmp_path / "job.json")
    status, events = in_child(tmp_path / "job.json")
    assert status == 130
    assert "result" not in {event["event"] for event in events}


def test_an_import_job_registers_a_folder(job, tmp_path, tiny_static):
    from desireline.trainer.jobs import ImportJob
    from desireline.trainer.registry import Registry
    from desireline.trainer.worker import run

    asked = ImportJob(source=str(tiny_static), registry=tmp_path / "r", template=("title",))
    result = run(asked, io.StringIO())
    assert Registry(tmp_path / "r").get(result["fingerprint"]).dimension == result["dimension"]
