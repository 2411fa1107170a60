"""One way to spend a night, in a process of its own: `python one_way.py JOB.json`.

The reply on the last line of standard output is JSON: processor seconds, steps, what the training
says of itself, and each measure of each query by part.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import polars as pl
import torch
from mining.worlds import World, load
from nights.judged import HELD_OUT, answered, of_first_night, of_forgetting
from training.lessons_of import drawn, true_pairs

from desireline.sidecar.learning.documents_alone import held_documents
from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder
from desireline.trainer.forms.import_model import packaged_minilm
from desireline.trainer.jobs import FitConfig, FitJob
from desireline.trainer.judgments import Judgments
from desireline.trainer.miners.base import Material, find
from desireline.trainer.miners.pseudo_queries import PseudoQueries
from desireline.trainer.miners.self_supervised import SelfSupervised
from desireline.trainer.miners.voting import weigh
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.modes import chosen
from desireline.trainer.pairs import PairSet
from desireline.trainer.self_supervised.reading import learn_from_texts
from desireline.trainer.self_supervised_config import write_texts
from desireline.trainer.sessions import to_sessions
from desireline.trainer.share_search import train_with_share
from desireline.trainer.training.tuned import Tuned


def main() -> None:
    """Do the job and say what it found."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(1)
    world = load(job["world"], Path(job["data"]))
    with tempfile.TemporaryDirectory(prefix="desireline-night-") as scratch:
        print(json.dumps(_found(job, world, Path(scratch))))


def _found(job: dict[str, Any], world: World, scratch: Path) -> dict[str, Any]:
    parts = (
        of_first_night(world, job["split"], job["seed"])
        if job["night"] == "first"
        else of_forgetting(world, job["split"], Path(job["data"]))
    )
    if job["way"] == "bm25":
        return {"values": answered(None, parts), "cpu_s": 0.0}
    if job["way"] == "base":
        return {"values": answered(SentenceTransformerEncoder(packaged_minilm()), parts)} | {
            "cpu_s": 0.0
        }
    began = time.process_time()
    train = _first_night if job["night"] == "first" else _forgetting
    tuned, told = train(job, world, scratch)
    cpu_s = round(time.process_time() - began, 1)
    encoder: Any = SentenceTransformerEncoder(tuned.folder)
    found = {"cpu_s": cpu_s, "steps": tuned.steps, "told": told or tuned.sentence}
    return found | {"values": answered(encoder, parts)}


def _first_night(job: dict[str, Any], world: World, scratch: Path) -> tuple[Tuned, str]:
    """Let the documents that are not held out teach: by texts alone, by pairs, or by both."""
    held = held_documents(world.documents, HELD_OUT, job["seed"])
    documents = {name: text for name, text in world.documents.items() if name not in held}
    texts = [text.text for text in documents.values()]
    config = FitConfig.model_validate(job["fit"] | {"seed": job["seed"], "threads": 1})
    if not job["pairs"]:
        tuned = learn_from_texts(texts, packaged_minilm(), scratch / "out", config)
        return tuned, tuned.sentence
    material = Material(
        sessions=to_sessions(()),
        judgments=Judgments(frame=pl.DataFrame(), examination={}, perplexity=1.0),
        documents=documents,
    )
    miners = (SelfSupervised(), PseudoQueries())
    pairs = weigh((each for miner in miners for each in find(material, miner)), None, {}).pairs
    write_texts(texts, scratch / "texts.parquet")
    tuned = chosen.train(_job(config, pairs, scratch, texts=scratch / "texts.parquet"))
    return tuned, tuned.sentence


def _forgetting(job: dict[str, Any], world: World, scratch: Path) -> tuple[Tuned, str]:
    """Tune on true pairs of other queries than those that ask."""
    config = FitConfig.model_validate(job["fit"] | {"seed": job["seed"], "threads": 1})
    pairs = drawn(true_pairs(world), job["most"], seed=job["seed"])
    return train_with_share(_job(config, pairs, scratch))


def _job(config: FitConfig, pairs: PairSet, scratch: Path, **more: Any) -> FitJob:
    pairs.write(scratch / "pairs")
    return FitJob(
        base=packaged_minilm(),
        pairs=scratch / "pairs",
        out=scratch / "out",
        registry=scratch,
        template=("title",),
        config=config,
        provenance=Provenance(base_model="minilm"),
        **more,
    )


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
