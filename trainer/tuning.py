"""The training loop: lessons in, a tuned encoder's folder out."""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import structlog
import torch
from datasets import Dataset
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from transformers import PrinterCallback

from desireline.trainer.batch_loading import Collator, tokenise
from desireline.trainer.batches import BatchPlan, schedule
from desireline.trainer.devices import (
    attentions,
    fast_hardware,
    half_precision,
    processor_threads,
    training_device,
)
from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
from desireline.trainer.errors import TrainerError
from desireline.trainer.jobs import FitConfig, FitJob
from desireline.trainer.lessons import Indices, Lessons
from desireline.trainer.library_trainer import LibraryTrainer, Watch, arguments
from desireline.trainer.losses.vectors import make_loss
from desireline.trainer.optimising import optimiser_of, scheduler_of
from desireline.trainer.pairs import PairSet
from desireline.trainer.preparing import prepare_weights, put_projection
from desireline.trainer.tuned import Progress, Tuned, interpolate, save_encoder
from desireline.trainer.watching import Budget, Training, Watcher, diverged

__all__ = [
    "Dress",
    "Progress",
    "Tuned",
    "half_precision",
    "interpolate",
    "prepare_weights",
    "processor_threads",
    "save_encoder",
    "training_device",
    "tune",
    "tune_pairs",
]

log = structlog.get_logger(__name__)

Dress = Callable[[SentenceTransformer], AbstractContextManager[None]]
"""Puts something on an encoder for the time of its training, and takes it off again."""

#: With more documents, likeness is not worth its time; each is drawn by itself.
_MOST_ALIKE = 20_000


def _as_it_is(model: SentenceTransformer) -> AbstractContextManager[None]:  # noqa: ARG001 - nothing is put on
    return nullcontext()


def tune(
    job: FitJob,
    progress: Progress | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    dress: Dress = _as_it_is,
) -> Tuned:
    """Tune the encoder in `job.base` on the pairs in `job.pairs` and write it to `job.out`.

    See `tune_pairs`.

    Raises:
        NothingToLearnError: the pairs are missing or teach nothing.
        UnsafeModelError: the base cannot be loaded safely.
        TrainerError: the loss is no number any more, or `job.out` exists already.

    """
    pairs = PairSet.read(job.pairs)
    return tune_pairs(
        pairs, job.base, job.out, job.config, progress=progress, clock=clock, dress=dress
    )


def tune_pairs(
    pairs: PairSet,
    base: Path,
    out: Path,
    config: FitConfig,
    *,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
    dress: Dress = _as_it_is,
    watchers: Sequence[Watcher] = (),
) -> Tuned:
    """Tune the encoder in `base` on pairs and write it to `out`.

    Nothing is left at `out` unless training ended well; an interrupt leaves no trace. On a
    CPU the same arguments give the same encoder. While `dress` holds the encoder, it decides
    which of its weights train. Watchers look on, in their order.

    Raises:
        NothingToLearnError: the pairs teach nothing.
        UnsafeModelError: the base cannot be loaded safely.
        TrainerError: the loss is no number any more, or `out` exists already.

    """
    if out.exists():
        raise TrainerError(f"{out} exists already; a trained encoder is never written over")
    started = clock()
    lessons = Lessons.of(pairs, hard_negatives=config.hard_negatives)
    torch.manual_seed(config.seed)
    if config.budget_s is not None:
        watchers = [*watchers, Budget(started + config.budget_s, clock)]
    with fast_hardware(config):
        model = load_sentence_transformer(
            base, device=training_device(config.device), attentions=attentions(config)
        )
        if config.output_dim:
            put_projection(model, config.output_dim)
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        batches = schedule(
            lessons,
            _plan(config),
            steps=config.max_steps,
            epochs=config.epochs,
            likeness=_likeness(model, lessons, config),
            seed=config.seed,
        )
        with dress(model):
            onlookers = (watchers, progress or _silent)
            training = _train(model, lessons, batches, config, onlookers)
    interpolate(model, before, config.tuned_share)
    save_encoder(model, out)
    log.info("encoder trained", steps=len(training.losses), planned_steps=len(batches))
    return Tuned.after(training, out, seconds=clock() - started)


def _silent(done: int, total: int, loss: float) -> None:
    pass


def _plan(config: FitConfig) -> BatchPlan:
    return BatchPlan(
        documents=config.batch_documents,
        pairs_a_document=config.pairs_a_document,
        alike=config.alike,
    )


def _likeness(
    model: SentenceTransformer, lessons: Lessons, config: FitConfig
) -> NDArray[np.float32] | None:
    """Encode one passage a document with the base, as unit vectors by document number."""
    numbers, first = np.unique(lessons.document, return_index=True)
    if config.alike <= 1 or len(numbers) > _MOST_ALIKE:
        return None
    vectors = []
    model.eval()
    with (
        torch.no_grad(),
        torch.autocast(model.device.type, torch.bfloat16, enabled=half_precision(config)),
    ):
        for start in range(0, len(first), 64):
            texts = [lessons.passages[number].text for number in first[start : start + 64]]
            tokens = tokenise(model, texts, task="document", most=config.document_tokens)
            on_device = {
                key: value.to(model.device) if isinstance(value, torch.Tensor) else value
                for key, value in tokens.items()
            }
            embedded = model(on_device)["sentence_embedding"].float()
            vectors.append(torch.nn.functional.normalize(embedded).cpu().numpy())
    return np.concatenate(vectors)


def _train(
    model: SentenceTransformer,
    lessons: Lessons,
    batches: list[Indices],
    config: FitConfig,
    onlookers: tuple[Sequence[Watcher], Progress],
) -> Training:
    prepare_weights(model, config)
    loss = make_loss(config.loss, model, lessons, config.loss_settings)
    optimizer = optimiser_of(model, loss, config)
    scheduler = scheduler_of(optimizer, config, len(batches))
    training = Training(
        model=model, loss=loss, optimizer=optimizer, scheduler=scheduler, steps=len(batches)
    )
    watchers, progress = onlookers
    for watcher in watchers:
        watcher.begin(training)
    left = batches[len(training.losses) :]
    with tempfile.TemporaryDirectory(prefix="desireline-fit-") as scratch:
        watch = Watch(training, watchers, progress)
        trainer = LibraryTrainer(
            model=model,
            args=arguments(Path(scratch), config, left),
            train_dataset=Dataset.from_dict({"label": list(range(len(lessons.anchors)))}),
            loss=loss,
            data_collator=Collator(model, lessons, config),  # type: ignore[arg-type]  # any callable will do
            callbacks=[watch],
            optimizers=(optimizer, scheduler),
        )
        trainer.remove_callback(PrinterCallback)
        if left and not training.ended:
            trainer.train()
    if diverged(training.losses):
        raise TrainerError(
            f"training diverged: the loss of step {len(training.losses)} is no number",
            next_step="halve fit.learning_rate",
        )
    for watcher in watchers:
        watcher.end(training)
    return training
