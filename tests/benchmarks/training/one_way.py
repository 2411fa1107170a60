"""One way on one set of pairs in a process of its own: `python one_way.py JOB.json`.

The job names way, world, split and recipe; the reply on the last line of standard output is
JSON: processor seconds, pairs, and each measure of each query, alone and fused with BM25.
"""

import json
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from mining.words import Words
from mining.worlds import World, load
from training.lessons_of import drawn, fused, pairs_of_clicks, true_pairs
from training.ways import WAYS, Recipe, Task, Trained

from desireline.trainer import model_files
from desireline.trainer.encoders.base import Encoder
from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder
from desireline.trainer.evaluation import evaluate, rank_exact
from desireline.trainer.forms.export import export_onnx
from desireline.trainer.forms.import_model import packaged_minilm
from desireline.trainer.measures.base import Measure, Run
from desireline.trainer.measures.ndcg import Ndcg
from desireline.trainer.measures.recall import Recall
from desireline.trainer.measures.reciprocal_rank import ReciprocalRank

MEASURES: tuple[Measure, ...] = tuple(
    kind(cutoff) for cutoff in (20, 10) for kind in (ReciprocalRank, Recall, Ndcg)
)
_DEPTH = 100


class QuerySide:
    """Queries by one encoder, documents by the base."""

    def __init__(self, queries: Encoder, documents: Encoder) -> None:
        self.encode_queries = queries.encode_queries
        self.encode_documents = documents.encode_documents


def main() -> None:
    """Do the job and say what it found."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(1)
    world = load(job["world"], Path(job["data"]))
    found = _pairs(job, world) if job["way"] == "pairs" else _found(job, world)
    print(json.dumps(found))


def _pairs(job: dict[str, Any], world: World) -> dict[str, Any]:
    if job["kind"] == "true":
        made = true_pairs(world)
    else:
        base = SentenceTransformerEncoder(packaged_minilm())
        made = pairs_of_clicks(world, base, seed=job["seed"])
    made = drawn(made, job["most"], seed=job["seed"])
    made.write(Path(job["pairs"]))
    return {"pairs": len(made.pairs)}


def _found(job: dict[str, Any], world: World) -> dict[str, Any]:
    queries = sorted(world.dev if job["split"] == "dev" else world.test)
    words = Words(world.documents).rank(queries, _DEPTH)
    if job["way"] == "bm25":
        return {"cpu_s": 0.0, "pairs": 0, "steps": 0, "values": _values(words, world, job)}
    texts = {name: document.text for name, document in world.documents.items()}
    with tempfile.TemporaryDirectory(prefix="desireline-bench-") as scratch:
        trained = _train(job, texts, Path(scratch))
        encoder: Any = SentenceTransformerEncoder(trained.folder)
        if trained.query_side:
            encoder = QuerySide(encoder, SentenceTransformerEncoder(packaged_minilm()))
        run = rank_exact(encoder, queries, texts, k=_DEPTH) if job.get("judged", True) else None
    found = {
        "cpu_s": round(trained.cpu_s, 1),
        "pairs": trained.pairs,
        "steps": trained.steps,
        "pairs_a_second": round(trained.pairs_a_second, 2),
    }
    if run is not None:
        found["values"] = _values(run, world, job)
        found["with_bm25"] = _values(fused([run, words], k=_DEPTH), world, job)
    return found


def _train(job: dict[str, Any], texts: dict[str, str], scratch: Path) -> Trained:
    if job["way"] == "base":
        return Trained(folder=packaged_minilm(), cpu_s=0.0, pairs=0, steps=0, pairs_a_second=0.0)

    @cache
    def exported() -> Path:
        folder = scratch / "exported"
        folder.mkdir()
        model_files.copy(packaged_minilm(), folder)
        export_onnx(folder)
        return folder

    task = Task(
        pairs=Path(job["pairs"]),
        out=scratch / "out",
        documents=texts,
        exported=exported,
        peer_python=job.get("peer_python", ""),
    )
    recipe = Recipe(**job["recipe"], seed=job["seed"])
    return WAYS[job["recipe_of"]](task, recipe)


def _values(run: Run, world: World, job: dict[str, Any]) -> dict[str, list[float]]:
    truth = world.dev if job["split"] == "dev" else world.test
    qrels = {query: dict.fromkeys(names, 1.0) for query, names in truth.items()}
    found = evaluate(run, qrels, MEASURES)
    return {
        str(measure): [round(float(value), 4) for value in found.values[measure]]
        for measure in MEASURES
    }


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
