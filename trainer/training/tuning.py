"""The training loop: lessons in, a tuned encoder's folder out."""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from transformers import PrinterCallback

from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
from desireline.trainer.errors import TrainerError
from desireline.trainer.jobs import FitConfig, FitJob
from desireline.trainer.lessons import Indices, Lessons
from desireline.trainer.losses.vectors import LossMaker, make_loss
from desireline.trainer.pairs import PairSet
from desireline.trainer.peers import peers
from desireline.trainer.training.batch_loading import Collator, tokenise
from desireline.trainer.training.batch_stream import BatchStream
from desireline.trainer.training.batches import BatchPlan, schedule
from desireline.trainer.training.devices import (
    attentions,
    fast_hardware,
    half_precision,
    training_device,
)
from desireline.trainer.training.frozen_layers import frozen_layers_kept
from desireline.trainer.training.library_trainer import LibraryTrainer, Watch, arguments
from desireline.trainer.training.optimising import optimiser_of, scheduler_of
from desireline.trainer.training.preparing import prepare_weights, put_projection
from desireline.trainer.training.replay import with_replay
from desireline.trainer.training.trackers import trackers_of
from desireline.trainer.training.tuned import Progress, Tuned, interpolate, save_encoder
from desireline.trainer.training.utilisation import Utilisation
from desireline.trainer.training.watching import Budget, Training, Watcher, diverged

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
    loss_of: LossMaker = make_loss,
) -> Tuned:
    """Tune the encoder in `base` on pairs and write it to `out`.

    Nothing is left at `out` unless training ended well; an interrupt leaves no trace. On a
    CPU the same arguments give the same encoder. While `dress` holds the encoder, it decides
    which of its weights train. Watchers look on, in their order. `loss_of` makes the loss.

    Raises:
        NothingToLearnError: the pairs teach nothing.
        UnsafeModelError: the base cannot be loaded safely.
        TrainerError: the loss is no number any more, or `out` exists already.

    """
    if out.exists():
        raise TrainerError(f"{out} exists already; a trained encoder is never written over")
    started = clock()
    watchers = [*watchers, *trackers_of(config)]
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
            least_steps=config.least_steps,
            likeness=_likeness(model, lessons, config),
            seed=config.seed,
        )
        looking = Utilisation(device=model.device, threads=torch.get_num_threads())
        with dress(model):
            onlookers = ([looking, *watchers], _told(progress))
            training = _train(model, lessons, batches, config, onlookers, loss_of=loss_of)
    interpolate(model, before, config.tuned_share)
    save_encoder(model, out)
    log.info("encoder trained", steps=len(training.losses), planned_steps=len(batches))
    return Tuned.after(training, out, seconds=clock() - started, busy=looking.busy)


def _told(progress: Progress | None) -> Progress:
    """Of several processes that train together, let the first speak."""
    return progress if progress and peers().leads else _silent


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
    *,
    loss_of: LossMaker,
) -> Training:
    prepare_weights(model, config)
    loss = with_replay(
        loss_of(config.loss, model, lessons, config.loss_settings), model, lessons, config
    )
    optimizer = optimiser_of(model, loss, config)
    scheduler = scheduler_of(optimizer, config, len(batches))
    training = Training(
        model=model, loss=loss, optimizer=optimizer, scheduler=scheduler, steps=len(batches)
    )
    watchers, progress = onlookers
    for watcher in watchers:
        watcher.begin(training)
    _begin_together(training)
    left = batches[len(training.losses) :]
    stream = BatchStream(left, Collator(model, lessons, config), model.device)
    with tempfile.TemporaryDirectory(prefix="desireline-fit-") as scratch:
        trainer = LibraryTrainer(
            stream=stream,
            together=peers(),
            model=model,
            args=arguments(Path(scratch), config, len(left)),
            loss=loss,
            callbacks=[Watch(training, watchers, progress)],
            optimizers=(optimizer, scheduler),
        )
        trainer.remove_callback(PrinterCallback)
        if left and not training.ended:
            with frozen_layers_kept(model, config):
                trainer.train()
    if diverged(training.losses):
        raise TrainerError(
            f"training diverged: the loss of step {len(training.losses)} is no number",
            next_step="halve fit.learning_rate",
        )
    for watcher in watchers:
        watcher.end(training)
    return training


def _begin_together(training: Training) -> None:
    """Have all processes begin with the same weights and at the same step."""
    together, done = peers(), len(training.losses)
    if together.agreed(done) != done:
        raise TrainerError(
            f"process {together.number + 1} of {together.count} that train together begins at step"
            f" {done} and the first one at another: checkpoints must lie where all of them read;"
            " nothing was trained",
            next_step="put the result on a disk that all machines share",
        )
    together.same(training.trained.values())
