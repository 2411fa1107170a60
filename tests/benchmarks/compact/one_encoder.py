"""One encoder of one way, in a process of its own: `python one_encoder.py JOB.json`.

The job names way, world, seed and folder; the folder holds the exported encoder afterwards. The
last line of standard output is JSON: processor seconds, parameters, nDCG@10 of each query.
"""

import json
import math
import shutil
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from meaning.categories import categories_in
from mining.worlds import World, load
from training.lessons_of import drawn, true_pairs
from training.ways import Recipe, Task, ours

from desireline.trainer import model_files
from desireline.trainer.documents.catalogue import Catalogue
from desireline.trainer.encoders.onnx import OnnxEncoder
from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
from desireline.trainer.evaluation import evaluate, rank_exact
from desireline.trainer.forms.export import export_onnx
from desireline.trainer.forms.import_model import packaged_minilm
from desireline.trainer.jobs import FitConfig, FitJob, SmallConfig
from desireline.trainer.measures.ndcg import Ndcg
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.modes import chosen

#: Where training made nothing of an encoder but what it began with.
_STILL = {"passes": 0, "tuning_passes": 0.01, "tuning_learning_rate": 1e-12}


def main() -> None:
    """Do the job and say what it found."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(1)
    world = load(job["world"], Path(job["data"]))
    folder = Path(job["folder"])
    cost = _cost_of(folder)
    if cost is None:
        shutil.rmtree(folder, ignore_errors=True)
        began = time.process_time()
        made = _make(job, world, folder)
        cost = {"cpu_s": round(time.process_time() - began, 1)}
        _cost_file(folder).write_text(json.dumps(cost), encoding="utf-8")
        made.rename(folder)
        shutil.rmtree(made.parent)
    texts = {name: document.text for name, document in world.documents.items()}
    truth = world.dev if job["split"] == "dev" else world.test
    run = rank_exact(OnnxEncoder(folder, threads=1), sorted(truth), texts, k=10)
    qrels = {query: dict.fromkeys(names, 1.0) for query, names in truth.items()}
    values = evaluate(run, qrels, [Ndcg(10)]).values[Ndcg(10)]
    model = load_sentence_transformer(folder)
    found = {
        **cost,
        "parameters": sum(each.numel() for each in model.parameters()),
        "dimension": model.get_embedding_dimension(),
        "values": [round(float(value), 4) for value in values],
        "folder": str(folder),
    }
    print(json.dumps(found, allow_nan=False))


def _cost_file(folder: Path) -> Path:
    return folder.with_suffix(".cost")


def _cost_of(folder: Path) -> dict[str, float] | None:
    """Return what an encoder cost that lies there whole; None where it is to be made.

    An encoder that nobody saw being made, put there by hand, has no cost: it is made again.
    """
    try:
        cost: dict[str, float] = json.loads(_cost_file(folder).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    whole = (folder / model_files.GRAPH).exists() and math.isfinite(cost["cpu_s"])
    return cost if whole else None


def _make(job: dict[str, Any], world: World, folder: Path) -> Path:
    """Make it beside its folder, into which it is moved once its cost is known."""
    scratch = folder.with_name(f"{folder.name}.making")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    pairs = drawn(true_pairs(world), job["most"], seed=job["seed"])
    pairs.write(scratch / "pairs")
    made = scratch / "made"
    if job["way"] == "base":
        model_files.copy(packaged_minilm(), _new(made))
    elif job["way"] == "large":
        task = Task(pairs=scratch / "pairs", out=made, documents={}, exported=packaged_minilm)
        ours(task, Recipe(**job["recipe"], seed=job["seed"]))
    else:
        _compact(job, world, scratch, made)
    export_onnx(made)
    return made


def _compact(job: dict[str, Any], world: World, scratch: Path, made: Path) -> None:
    settings = dict(job["recipe"])
    if settings.pop("untrained", False):
        settings |= _STILL
    small = SmallConfig.model_validate(settings)
    categories = categories_in(world) if small.intent_weight else {}
    Catalogue(documents=world.documents, categories=categories).write(scratch / "catalogue")
    chosen.train(
        FitJob(
            base=packaged_minilm(),
            pairs=scratch / "pairs",
            out=made,
            registry=scratch,
            template=("title",),
            catalogue=scratch / "catalogue",
            teacher=Path(job["teachers"][small.teacher]) if small.teacher != "none" else None,
            config=FitConfig(
                mode="small",
                max_steps=1_000_000,
                query_tokens=32,
                threads=1,
                seed=job["seed"],
                small=small,
            ),
            provenance=Provenance(base_model="minilm"),
        )
    )


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
