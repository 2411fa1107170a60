"""What `fit` finds out before it trains: lengths, batch size, when to measure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from desireline.trainer import model_files
from desireline.trainer.callbacks import (
    BestModelCheckpoint,
    Callback,
    EarlyStopping,
    EvaluationCallback,
    WiSEFTCallback,
)
from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
from desireline.trainer.errors import NothingToLearnError
from desireline.trainer.finetuning.arguments import FitArguments
from desireline.trainer.finetuning.batch_size import found_batch_size, lengths_of
from desireline.trainer.finetuning.evaluating import Evaluating, EvaluationData
from desireline.trainer.finetuning.own_pairs import TrainingData
from desireline.trainer.jobs import FitConfig
from desireline.trainer.lessons import Lessons
from desireline.trainer.measures.base import parse
from desireline.trainer.pairs import PairSet
from desireline.trainer.training.devices import attentions, training_device

_LONGEST = 256
#: Where weights are word vectors alone, each is moved by few texts only.
_RATE_OF_WORD_VECTORS = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The settings with everything found that was left out."""

    config: FitConfig
    batch_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is measured while training goes on, and what follows from it."""

    callbacks: Sequence[Callback]
    measures: Sequence[str]
    index_data: Mapping[str, str]
    #: Steps of an epoch.
    epoch_steps: float


def planned(base: Path, pairs: PairSet, config: FitConfig, asked: FitArguments) -> Plan:
    """Look at the encoder and the texts, and set what nobody set."""
    model = load_sentence_transformer(
        base, device=training_device(config.device), attentions=attentions(config)
    )
    lessons = Lessons.of(pairs, hard_negatives=config.hard_negatives)
    limit = int(min(_LONGEST, model.max_seq_length or _LONGEST))
    queries = lengths_of(model, lessons.anchors, limit)
    documents = lengths_of(model, [passage.text for passage in lessons.passages], limit)
    alone = asked.sampler == "random"
    items = 1 if alone else asked.num_items_per_class
    rows_a_document = min(float(items), len(lessons.anchors) / (int(lessons.document.max()) + 1))
    changes: dict[str, Any] = {
        "query_tokens": max(4, queries.long),
        "document_tokens": max(4, documents.long),
        "pairs_a_document": items,
        "alike": 1 if alone else config.alike,
    }
    if asked.learning_rate is None and _word_vectors_alone(model):
        changes["learning_rate"] = _RATE_OF_WORD_VECTORS
    config = config.model_copy(update=changes)
    tokens = queries.mean + documents.mean / max(1.0, rows_a_document)
    size = asked.batch_size or found_batch_size(model, lessons, config, tokens)
    whole = max(2, round(size / max(1.0, rows_a_document)))
    return Plan(config=config.model_copy(update={"batch_documents": whole}), batch_size=size)


def _word_vectors_alone(model: SentenceTransformer) -> bool:
    return sum(1 for _ in model.parameters()) == 1


def evaluating(
    train: TrainingData, held_out: TrainingData | None, watch: Watch
) -> Evaluating | None:
    """Make what measures the encoder on held-out queries; None without any."""
    if held_out is None:
        return None
    by_kind = {type(each): each for each in watch.callbacks}
    look = by_kind.get(EvaluationCallback, EvaluationCallback(monitor=watch.measures[0]))
    stop = by_kind.get(EarlyStopping)
    assert isinstance(look, EvaluationCallback)
    assert stop is None or isinstance(stop, EarlyStopping)
    qrels, documents = held_out.truth(train)
    if not qrels:
        raise NothingToLearnError(
            "the evaluation data holds no query with a right document; nothing was trained"
        )
    return Evaluating(
        data=EvaluationData(
            qrels=qrels,
            documents={**documents, **watch.index_data},
            measures=[parse(each) for each in dict.fromkeys((*watch.measures, look.monitor))],
        ),
        monitor=str(parse(look.monitor)),
        every_steps=max(1, round(look.every * watch.epoch_steps)),
        patience=stop.patience if stop else None,
        min_delta=stop.min_delta if stop else 0.0,
        baseline=stop.baseline if stop else None,
        keep_best=BestModelCheckpoint in by_kind,
    )


def wiseft_share(callbacks: Sequence[Callback]) -> float:
    """Return the share of tuned weights that a WiSEFTCallback asks for; 1 without one."""
    found = [each.alpha for each in callbacks if isinstance(each, WiSEFTCallback)]
    return found[0] if found else 1.0


def seconds_left(budget_s: float | None, done_by: datetime | None) -> float | None:
    """Return the seconds that are left, at least one: a spent budget ends in good order."""
    left = [] if budget_s is None else [budget_s]
    if done_by is not None:
        left.append((done_by.astimezone(UTC) - datetime.now(UTC)).total_seconds())
    return max(1.0, min(left)) if left else None


def digest_of(base: Path, pairs: PairSet, config: FitConfig, held_out: TrainingData | None) -> str:
    """Name a training by all that decides its steps."""
    total = hashlib.sha256(config.model_dump_json(exclude={"budget_s", "threads"}).encode())
    total.update(
        repr((pairs.pairs, sorted((a, sorted(k)) for a, k in pairs.related.items()))).encode()
    )
    total.update(repr(held_out).encode())
    for name in model_files.check(base):
        with (base / name).open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()
