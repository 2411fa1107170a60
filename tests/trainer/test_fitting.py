"""`fit` as users call it."""

import itertools
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from desireline.trainer.errors import LossError, TrainerError, TrainingDataError

torch = pytest.importorskip("torch", reason="needs desireline[trainer]")

WORDS = ["red", "blue", "shoe", "running", "garden", "nurse", "software", "engineer"]
ROWS = [(word, f"the {word} of 42") for word in WORDS]
NEW = [("cm", "the garden of 42"), ("in", "the nurse of 42"), ("for", "the shoe of 42")]
FAST = {"learning_rate": 0.05, "epochs": 12, "batch_size": 8, "threads": 1}


def fit(*arguments, **more):
    from desireline.trainer import fit as real

    return real(*arguments, **{**FAST, **more})


def weights(folder: Path):
    from safetensors.numpy import load_file

    (file,) = folder.rglob("*.safetensors")
    return load_file(file)


def test_the_package_stays_without_torch_until_fit_is_asked_for():
    code = (
        "import sys, desireline.trainer; print('torch' in sys.modules);"
        "from desireline.trainer import fit; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_a_run_tells_before_and_after_and_loads_as_a_sentence_transformer(tiny_static, tmp_path):
    from sentence_transformers import SentenceTransformer

    run = fit(tiny_static, ROWS + NEW, NEW, out=tmp_path / "out")
    assert run.after["mrr@20"] > run.before["mrr@20"]
    assert run.metrics() == {"before": run.before, "after": run.after}
    assert "mrr@20" in run.display_metrics()
    model = SentenceTransformer(str(run.folder))
    np.testing.assert_allclose(
        run.encode(["cm"], role="query"),
        model.encode_query(["cm"], normalize_embeddings=True),
        atol=1e-6,
    )
    assert run.losses[-1] < run.losses[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    copied = run.save(tmp_path / "copy")
    assert weights(copied).keys() == weights(run.folder).keys()
    with pytest.raises(TrainerError, match="never written over"):
        run.save(copied)


def test_the_weights_are_those_of_the_best_step(tiny_static, tmp_path):
    from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
    from desireline.trainer.finetuning.evaluating import EvaluationData
    from desireline.trainer.measures.base import parse

    run = fit(tiny_static, ROWS + NEW, NEW, out=tmp_path / "out", learning_rate=0.5)
    best = max(metrics["mrr@20"] for metrics in run.history.values())
    assert run.after["mrr@20"] == best == run.history[run.best_step]["mrr@20"]
    data = EvaluationData(
        qrels={query: {document: 1.0} for query, document in NEW},
        documents={document: document for _, document in ROWS + NEW},
        measures=[parse("mrr@20")],
    )
    assert data.metrics(load_sentence_transformer(run.folder))["mrr@20"] == pytest.approx(best)


def test_a_loss_and_a_miner_of_pytorch_metric_learning_train_by_name(tiny_static, tmp_path):
    run = fit(
        tiny_static,
        ROWS + NEW,
        NEW,
        out=tmp_path / "out",
        loss="TripletMarginLoss",
        miner="TripletMarginMiner",
        miner_options={"margin": 0.3, "type_of_triplets": "hard"},
    )
    assert run.after["mrr@20"] > run.before["mrr@20"]


@pytest.mark.parametrize(
    ("rows", "more"),
    [
        ([{"text": f"{w} {x}", "label": w} for w in WORDS for x in ("42", "of")], {}),
        ([(q, d, "the software of 42") for q, d in NEW], {"loss": "TripletMarginLoss"}),
        ([(q, d, s) for q, d in ROWS[:4] for s in (1.0,)] + [("red", "cm", 0)], {"loss": "cosent"}),
        ([(q, d, "a red", 0.5) for q, d in NEW], {"loss": "MarginMSELoss"}),
        (ROWS, {"loss": "ArcFaceLoss", "loss_optimizer_options": {"lr": 0.1}}),
        (ROWS, {"loss": "MatryoshkaLoss", "loss_options": {"dimensions": [16, 8]}}),
        (ROWS, {"output_dim": 4, "sampler": "random", "optimizer": "SGD"}),
    ],
    ids=["labelled", "triplets", "scored", "margins", "classes", "matryoshka", "projected"],
)
def test_every_kind_of_data_trains(tiny_static, tmp_path, rows, more):
    run = fit(tiny_static, rows, out=tmp_path / "out", epochs=2, **more)
    assert len(run.losses) >= 1
    assert run.encode(["red"]).shape == (1, more.get("output_dim", 16))


def test_a_transformer_with_slower_lower_layers_a_schedule_and_frozen_layers(tiny_bert, tmp_path):
    base = weights(tiny_bert)
    run = fit(
        tiny_bert,
        ROWS,
        out=tmp_path / "out",
        epochs=1,
        learning_rate=1e-3,
        freeze=True,
        scheduler="linear",
        optimizer_options={"layer_wise_lr_decay": 0.9},
        to_onnx=True,
    )
    tuned = weights(run.folder)
    changed = {name for name in tuned if not np.array_equal(tuned[name], base[name])}
    assert changed
    assert all("layer.1." in name for name in changed)
    assert (run.folder / "encoder.onnx").is_file()


def test_lower_layers_learn_slower(tiny_bert):
    from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
    from desireline.trainer.jobs import FitConfig
    from desireline.trainer.training.optimising import optimiser_of

    model = load_sentence_transformer(tiny_bert)
    config = FitConfig(learning_rate=1.0, layer_wise_lr_decay=0.5)
    optimizer = optimiser_of(model, model, config)
    rate = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    of = {name: rate[id(p)] for name, p in model.named_parameters()}
    lowest, middle, top = (
        {each for name, each in of.items() if part in name}
        for part in (".embeddings.", "layer.0.", "layer.1.")
    )
    assert (lowest, middle, top) == ({0.125}, {0.25}, {0.5})


def test_training_that_gains_no_more_ends_early(tiny_static, tmp_path):
    from desireline.trainer.callbacks import BestModelCheckpoint, EarlyStopping

    run = fit(
        tiny_static,
        ROWS,
        ROWS,
        out=tmp_path / "out",
        epochs=500,
        callbacks=[BestModelCheckpoint(), EarlyStopping(patience=3)],
    )
    assert "did not rise in 3 evaluations" in run.sentence
    assert len(run.losses) < 100


def test_alpha_mixes_tuned_weights_with_those_before(tiny_static, tmp_path):
    from desireline.trainer.callbacks import WiSEFTCallback

    whole = fit(tiny_static, ROWS, out=tmp_path / "whole", callbacks=[])
    mixed = fit(tiny_static, ROWS, out=tmp_path / "mixed", callbacks=[WiSEFTCallback(alpha=0.25)])
    base, tuned, quarter = map(weights, (tiny_static, whole.folder, mixed.folder))
    for name in base:
        np.testing.assert_allclose(quarter[name], 0.75 * base[name] + 0.25 * tuned[name], atol=1e-5)


def test_a_spent_budget_ends_with_the_best_so_far(tiny_static, tmp_path):
    from desireline.trainer.callbacks import BestModelCheckpoint

    ticks = itertools.count()
    run = fit(
        tiny_static,
        ROWS + NEW,
        NEW,
        out=tmp_path / "out",
        epochs=10_000,
        callbacks=[BestModelCheckpoint()],
        budget_s=60.0,
        clock=lambda: float(next(ticks)),
    )
    assert "budget spent" in run.sentence
    assert run.after["mrr@20"] == max(m["mrr@20"] for m in run.history.values())


@pytest.mark.parametrize(
    ("more", "error", "said"),
    [
        ({"loss": "TripletMarginLos"}, LossError, "TripletMarginLos"),
        ({"loss": "TripletMarginLoss", "miner": "Hard"}, LossError, "Hard"),
        ({"miner": "BatchHardMiner"}, LossError, "not infonce"),
        ({"loss": "TripletMarginLoss", "loss_options": {"marge": 1}}, LossError, "marge"),
        ({"optimizer": "Lion"}, TrainerError, "no optimizer 'Lion'"),
        ({"scheduler": "steps"}, TrainerError, "steps"),
        ({"device": "tpu"}, TrainerError, "device is 'tpu'"),
        ({"val_split": 1.5}, TrainerError, "val_split is 1.5"),
    ],
)
def test_what_is_asked_wrongly_is_told_and_leaves_nothing(tiny_static, tmp_path, more, error, said):
    with pytest.raises(error, match=said) as caught:
        fit(tiny_static, ROWS, out=tmp_path / "out", **more)
    assert "nothing was trained" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_bad_rows_start_nothing(tiny_static, tmp_path):
    with pytest.raises(TrainingDataError, match="line 2"):
        fit(tiny_static, [("q", "d"), ("q", "")], out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("checkpoint_s", "said", "left"),
    [
        (3600.0, "the trained encoder cannot be written", []),
        (0.0, r"the checkpoint .*step-1 cannot be written", ["out.checkpoint"]),
    ],
)
def test_a_full_disk_is_told_and_nothing_half_written_stays(
    tiny_bert, tmp_path, checkpoint_s, said, left
):
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_the_disk(done, total, loss):
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, usual[1]))

    try:
        with pytest.raises(TrainerError, match=said) as caught:
            fit(
                tiny_bert,
                ROWS,
                out=tmp_path / "out",
                epochs=1,
                checkpoint_s=checkpoint_s,
                progress=fill_the_disk,
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert "make room" in caught.value.next_step
    assert [path.name for path in tmp_path.iterdir()] == left
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_no_room_for_a_copy_of_the_model_is_told_before_training(tiny_bert, tmp_path):
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, usual[1]))
    try:
        with pytest.raises(TrainerError, match=r"cannot be copied.*nothing was trained") as caught:
            fit(tiny_bert, ROWS, out=tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert "TMPDIR" in caught.value.next_step
    assert list(tmp_path.iterdir()) == []


CHILD = """
import json, os, sys, time
from desireline.trainer import fit
from desireline.trainer.callbacks import BestModelCheckpoint
asked = json.loads(sys.argv[1])
def progress(done, total, loss):
    print(done, flush=True)
    if done == asked["stop"]:
        time.sleep(600)
run = fit(asked["model"], asked["rows"], asked["eval"], out=asked["out"], learning_rate=0.003,
          epochs=6, batch_size=4, threads=1, callbacks=[BestModelCheckpoint()],
          checkpoint_s=0.0, progress=progress, seed=3)
print(json.dumps({"losses": run.losses, "history": run.history, "best": run.best_step}))
"""


def child(model, out, stop=None):
    asked = {"model": str(model), "rows": ROWS, "eval": NEW, "out": str(out), "stop": stop}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(asked)], stdout=subprocess.PIPE, text=True
    )


def finished(process):
    *steps, last = process.communicate()[0].splitlines()
    assert process.returncode == 0
    return [int(step) for step in steps if step.isdigit()], json.loads(last)


def test_a_killed_training_goes_on_and_ends_as_if_nothing_had_been(tiny_bert, tmp_path):
    killed = child(tiny_bert, tmp_path / "killed", stop=7)
    whole = child(tiny_bert, tmp_path / "whole")
    for line in killed.stdout:
        if line.strip() == "7":
            os.kill(killed.pid, signal.SIGKILL)
            break
    killed.wait()
    killed.stdout.close()
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed").exists()
    left = [path for path in (tmp_path / "killed.checkpoint").rglob("*") if path.is_file()]
    assert {path.suffix for path in left} == {".safetensors", ".json"}
    steps, resumed = finished(child(tiny_bert, tmp_path / "killed"))
    assert steps[0] == 7
    all_steps, uninterrupted = finished(whole)
    assert all_steps[0] == 1
    assert resumed == uninterrupted
    one, two = weights(tmp_path / "killed"), weights(tmp_path / "whole")
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)
    assert not (tmp_path / "killed.checkpoint").exists()


def test_a_checkpoint_of_another_training_is_left_out(tiny_static, tmp_path):
    def stop(done, total, loss):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tiny_static, ROWS, out=tmp_path / "out", checkpoint_s=0.0, progress=stop)
    assert (tmp_path / "out.checkpoint").is_dir()
    seen = []
    other = [*ROWS, ("cm", "the garden of 42")]
    run = fit(tiny_static, other, out=tmp_path / "out", progress=lambda done, *_: seen.append(done))
    assert seen[0] == 1
    assert run.folder.is_dir()
