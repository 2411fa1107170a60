"""Trackers hear settings and figures by transformers' own integrations; no text, no weights."""

import struct
from pathlib import Path
from typing import Any

import pytest

from desireline.sidecar.config import child_environment
from desireline.trainer.errors import TrackerError
from desireline.trainer.jobs import FitConfig, FitJob
from desireline.trainer.pairs import Pair, Passage, merge

pytest.importorskip("torch", reason="needs desireline[trainer]")
WORDS = ["red", "blue", "shoe", "running", "garden", "nurse", "software", "engineer"]
TOLD = "the confidential {} of Wolpertinger"


def rows() -> list[tuple[str, str]]:
    return [(word, TOLD.format(word)) for word in WORDS]


def events_in(folder: Path) -> tuple[dict[str, list[tuple[int, float]]], bytes]:
    """Figures by name with their steps, and all bytes that were written."""
    from tensorboardX.proto.event_pb2 import Event

    figures: dict[str, list[tuple[int, float]]] = {}
    files = sorted(folder.glob("runs/*/events.out.tfevents.*"))
    assert files
    content = b"".join(file.read_bytes() for file in files)
    at = 0
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        event = Event.FromString(content[at + 12 : at + 12 + length])
        at += 12 + length + 4
        for value in event.summary.value:
            if value.HasField("simple_value"):
                figures.setdefault(value.tag, []).append((event.step, value.simple_value))
    return figures, content


@pytest.fixture(autouse=True)
def _in_folders_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)


def test_a_fit_tells_tensorboard_its_losses_and_what_was_measured_and_no_text(
    tmp_path: Path, tiny_static: Path
) -> None:
    from desireline.trainer import fit

    run = fit(
        tiny_static,
        rows(),
        eval_data=rows(),
        out=tmp_path / "out",
        epochs=3,
        batch_size=8,
        measures=("mrr@20",),
        report_to="tensorboard",
        threads=1,
    )
    figures, content = events_in(tmp_path)
    assert [step for step, _ in figures["train/loss"]] == list(range(1, len(run.losses) + 1))
    assert [loss for _, loss in figures["train/loss"]] == pytest.approx(run.losses)
    measured = dict(figures["eval/mrr_at_20"])
    assert measured == pytest.approx({step: m["mrr@20"] for step, m in run.history.items()})
    assert b"infonce" in content  # the settings
    assert b"Wolpertinger" not in content
    assert not any(word.encode() in content for word in ("garden", "nurse", "engineer"))


@pytest.mark.parametrize("mode", ["full", "adapter"])
def test_each_mode_of_a_night_reports_beside_the_registry(
    mode: str, tmp_path: Path, tiny_static: Path, exported_static: Path
) -> None:
    from desireline.trainer.modes.chosen import train

    passages = {word: Passage(word, TOLD.format(word)) for word in WORDS}
    pairs = merge([Pair(anchor=word, positive=passages[word], source="t") for word in WORDS], {})
    pairs.write(tmp_path / "pairs")
    of_mode: dict[str, Any] = {}
    if mode == "adapter":
        of_mode = cached(tmp_path, exported_static, passages)
    job = FitJob(
        base=exported_static,
        pairs=tmp_path / "pairs",
        out=tmp_path / "out",
        registry=tmp_path / "data" / "models",
        template=("title",),
        provenance={"base_model": "tiny"},
        config=FitConfig(mode=mode, max_steps=3, report_to=("tensorboard",), threads=1),
        **of_mode,
    )
    tuned = train(job)
    figures, content = events_in(tmp_path / "data")
    assert [loss for _, loss in figures["train/loss"]] == pytest.approx(tuned.losses)
    assert b"Wolpertinger" not in content


def cached(folder: Path, exported: Path, passages: dict[str, Passage]) -> dict[str, Any]:
    from desireline.connectors.documents import TextTemplate
    from desireline.trainer.documents.vectors import DocumentVectors
    from desireline.trainer.models.manifest import Provenance
    from desireline.trainer.registry import Registry

    registry = Registry(folder / "data" / "models")
    documents = registry.add(
        exported,
        template=TextTemplate(fields=("title",)),
        similarity="cosine",
        provenance=Provenance(base_model="tiny"),
    ).fingerprint
    encoder = registry.load(documents, threads=1)
    texts = [passage.text for passage in passages.values()]
    DocumentVectors(document_ids=tuple(passages), vectors=encoder.encode_documents(texts)).write(
        folder / "vectors"
    )
    return {"documents": documents, "vectors": folder / "vectors"}


@pytest.mark.parametrize("name", ["no_such_tracker", "wandb", "mlflow"])
def test_a_tracker_that_is_not_there_is_one_clear_error_before_training(
    name: str, tmp_path: Path, tiny_static: Path
) -> None:
    from importlib.util import find_spec

    from desireline.trainer import fit

    if find_spec(name) is not None:
        pytest.skip(f"{name} is installed here")
    with pytest.raises(TrackerError, match=f"report_to names '{name}'.*nothing was trained"):
        fit(tiny_static, rows(), out=tmp_path / "out", report_to=[name])
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_that_fails_hears_no_more_and_training_goes_on(tmp_path: Path) -> None:
    import torch
    from transformers import TrainerCallback

    from desireline.trainer.training.trackers import Reports
    from desireline.trainer.training.watching import Training

    heard: list[tuple[str, Any]] = []

    class Broken(TrainerCallback):
        def on_train_begin(self, *_: Any, **more: Any) -> None:
            heard.append(("begin", sorted(more)))

        def on_log(self, *_: Any, **more: Any) -> None:
            heard.append(("log", more["logs"]["loss"]))
            raise ConnectionError("https://token@tracker.example.org")

    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    training = Training(model=model, loss=model, optimizer=optimizer, scheduler=None, steps=3)
    reports = Reports({"broken": Broken()}, FitConfig(report_folder=str(tmp_path)))
    reports.begin(training)
    for loss in (3.0, 2.0, 1.0):
        training.losses.append(loss)
        reports.stepped(training)
    reports.end(training)
    assert heard == [("begin", ["model"]), ("log", 3.0)]


def test_only_the_variables_of_trackers_that_are_named_reach_the_child(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("WANDB_API_KEY", "MLFLOW_TRACKING_URI", "COMET_API_KEY", "DESIRELINE_PASSWORD"):
        monkeypatch.setenv(name, "hunter2")
    assert "hunter2" not in child_environment().values()
    assert [n for n, v in child_environment(["wandb"]).items() if v == "hunter2"] == [
        "WANDB_API_KEY"
    ]
    assert child_environment(["comet_ml"])["COMET_API_KEY"] == "hunter2"
