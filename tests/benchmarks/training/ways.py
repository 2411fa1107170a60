"""Ways to tune the same encoder on the same pairs, each as its own documentation says."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset
from mining.static_encoder import StaticEncoder
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.losses import MultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
from sentence_transformers.training_args import BatchSamplers
from transformers import TrainerCallback

from desireline.trainer.documents.vectors import DocumentVectors
from desireline.trainer.encoders.onnx import OnnxEncoder
from desireline.trainer.forms.import_model import packaged_minilm
from desireline.trainer.jobs import FitConfig, FitJob
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.modes import chosen
from desireline.trainer.pairs import PairSet
from desireline.trainer.query_vectors import QueryVectors

HERE = Path(__file__).parent
#: Stands for the fingerprint of the base, which is not registered here.
_BASE = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What all ways share, and what each may choose for itself."""

    #: Times that every pair is seen.
    passes: float
    #: Distinct documents in a batch.
    batch: int
    learning_rate: float
    query_tokens: int = 32
    document_tokens: int = 48
    seed: int = 0
    #: Of ours: further fields of `FitConfig`.
    options: dict[str, Any] = field(default_factory=dict)
    #: Of ours in mode adapter: whether the anchors' vectors are `found` or `made` in training.
    vectors: Literal["found", "made"] = "made"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What came of one training, and what it cost."""

    folder: Path
    #: Processor seconds of all that training took, the loading of the model included.
    cpu_s: float
    pairs: int
    steps: int
    #: Pairs a processor second of the loop alone: from the end of its first step to its last.
    pairs_a_second: float
    #: Whether documents keep the base's vectors.
    query_side: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to learn from, where to put it, and what a query side may lean on."""

    pairs: Path
    out: Path
    #: Rendered documents by document_id.
    documents: dict[str, str]
    #: The base, exported; made only for the ways that need it.
    exported: Callable[[], Path]
    #: Python of an environment that holds opensearch-py-ml.
    peer_python: str = ""


Way = Callable[[Task, Recipe], Trained]


class Steps:
    """Processor time at the end of each step."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def __call__(self, done: int, total: int, loss: float) -> None:
        self.at.append(time.process_time())

    def rate(self, pairs: float) -> float:
        """Return pairs a second between the first and the last step."""
        if len(self.at) < 2:
            return float("nan")
        return pairs * (len(self.at) - 1) / len(self.at) / (self.at[-1] - self.at[0])


class _OfTrainer(TrainerCallback):
    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self._steps(state.global_step, state.max_steps, 0.0)


def plain(task: Task, recipe: Recipe) -> Trained:
    """sentence-transformers' Trainer by its documentation's training overview.

    MultipleNegativesRankingLoss, no duplicates in a batch, a warm-up of a tenth, one pass.
    """
    began = time.process_time()
    known = PairSet.read(task.pairs).pairs
    texts = {
        "anchor": [pair.anchor for pair in known],
        "positive": [pair.positive.text for pair in known],
    }
    model = SentenceTransformer(str(packaged_minilm()), device="cpu", local_files_only=True)
    whole = model.max_seq_length
    model.max_seq_length = recipe.document_tokens
    steps = max(1, round(recipe.passes * len(known) / recipe.batch))
    marks = Steps()
    trainer = SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            output_dir=str(task.out),
            max_steps=steps,
            per_device_train_batch_size=recipe.batch,
            learning_rate=recipe.learning_rate,
            warmup_steps=round(0.1 * steps),
            batch_sampler=BatchSamplers.NO_DUPLICATES,
            seed=recipe.seed,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            logging_steps=100,
            **recipe.options,
        ),
        train_dataset=Dataset.from_dict(texts).shuffle(seed=recipe.seed),
        loss=MultipleNegativesRankingLoss(model),
        callbacks=[_OfTrainer(marks)],
    )
    trainer.train()
    model.max_seq_length = whole
    model.save_pretrained(str(task.out), create_model_card=False)
    pairs = steps * recipe.batch
    return Trained(
        folder=task.out,
        cpu_s=time.process_time() - began,
        pairs=pairs,
        steps=steps,
        pairs_a_second=marks.rate(pairs),
    )


def ours(task: Task, recipe: Recipe, *, base: Path | None = None) -> Trained:
    """The product's own training, in the mode that the recipe's options name.

    A query side finds the documents' vectors, and an adapter the anchors' too, as in a cycle: there
    they were made for what is known of pairs before anything is trained. Making them is not timed.
    """
    pairs_read = PairSet.read(task.pairs).pairs
    known = len(pairs_read)
    settings = {
        "batch_documents": recipe.batch,
        "epochs": recipe.passes,
        "least_steps": 1,
        "max_steps": 1_000_000,
        "learning_rate": recipe.learning_rate,
        "query_tokens": recipe.query_tokens,
        "document_tokens": recipe.document_tokens,
        "threads": 1,
        "seed": recipe.seed,
    }
    config = FitConfig.model_validate(settings | recipe.options)
    query_side = config.leaves_documents
    vectors, queries = task.out.with_name("vectors"), task.out.with_name("queries.safetensors")
    finds_queries = config.mode == "adapter" and recipe.vectors == "found"
    if query_side:
        encoder = OnnxEncoder(task.exported(), threads=1)
        names = list(task.documents)
        encoded = encoder.encode_documents([task.documents[name] for name in names])
        DocumentVectors(document_ids=tuple(names), vectors=encoded).write(vectors)
        if finds_queries:
            anchors = list(dict.fromkeys(pair.anchor for pair in pairs_read))
            made = encoder.encode_queries(anchors)
            QueryVectors.of(_BASE, anchors, made).write(queries)
    job = FitJob(
        base=task.exported() if query_side else base or packaged_minilm(),
        pairs=task.pairs,
        out=task.out,
        registry=task.out.parent,
        template=("title",),
        config=config,
        documents=_BASE if query_side else None,
        vectors=vectors if query_side else None,
        encoder=_BASE if query_side else None,
        queries=queries if finds_queries else None,
        provenance=Provenance(base_model="minilm"),
    )
    marks = Steps()
    began = time.process_time()
    tuned = chosen.train(job, marks)
    passes = {"adapter": config.adapter.epochs, "query": config.query.epochs}
    pairs = round(passes.get(config.mode, recipe.passes) * known)
    return Trained(
        folder=task.out,
        cpu_s=time.process_time() - began,
        pairs=pairs,
        steps=tuned.steps,
        pairs_a_second=marks.rate(pairs),
        query_side=query_side,
    )


def static(task: Task, recipe: Recipe) -> Trained:
    """The product's own training of a table of word vectors, those that wordllama carries."""
    folder = task.out.with_name("static")
    words = StaticEncoder.packaged()
    table = StaticEmbedding(words.tokenizer, embedding_weights=words.table)
    SentenceTransformer(modules=[table, Normalize()], device="cpu").save_pretrained(
        str(folder), create_model_card=False
    )
    return ours(task, recipe, base=folder)


def peer(task: Task, recipe: Recipe) -> Trained:
    """opensearch-py-ml's `train()`, in an environment of its own; see `peer.py`."""
    known = PairSet.read(task.pairs).pairs
    texts = task.out.with_suffix(".json")
    texts.write_text(json.dumps([[pair.anchor, pair.positive.text] for pair in known]))
    script = [task.peer_python, str(HERE / "peer.py")]
    done = subprocess.run(
        [
            *script,
            str(texts),
            str(packaged_minilm()),
            str(task.out),
            str(round(recipe.passes * len(known))),
            str(recipe.batch),
        ],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    found = json.loads(done.stdout.splitlines()[-1])
    _without_pickles(task.out)
    return Trained(
        folder=task.out,
        cpu_s=found["cpu_s"],
        pairs=found["pairs"],
        steps=found["steps"],
        pairs_a_second=found["pairs"] / found["cpu_s"],
    )


def _without_pickles(folder: Path) -> None:
    """Leave the model alone in its folder, reading as many tokens as the base does."""
    shutil.rmtree(folder / "synthetic_queries")
    for name in ("traced.pt", "traced.zip"):
        (folder / name).unlink()
    for name in ("sentence_bert_config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(packaged_minilm() / name, folder / name)


WAYS: dict[str, Way] = {"plain": plain, "ours": ours, "static": static, "peer": peer}
