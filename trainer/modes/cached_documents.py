"""The training loop of the query side alone: documents are vectors, and stay as they are.

As a document's vector costs nothing, a query learns against the whole catalogue where that is
small, and against many documents where it is not, instead of those of its batch.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from desireline.trainer.documents.vectors import DocumentVectors
from desireline.trainer.errors import TrainerError
from desireline.trainer.jobs import FitConfig, FitJob
from desireline.trainer.lessons import Indices
from desireline.trainer.losses.infonce import WeightedInfoNceConfig, weighted_infonce
from desireline.trainer.modes.cached_lessons import CachedLessons
from desireline.trainer.pairs import PairSet
from desireline.trainer.peers import peers
from desireline.trainer.training.devices import fast_hardware, training_device
from desireline.trainer.training.optimising import optimiser_of, scheduler_of
from desireline.trainer.training.trackers import trackers_of
from desireline.trainer.training.tuned import Progress, Tuned, save_encoder
from desireline.trainer.training.utilisation import Utilisation
from desireline.trainer.training.watching import Budget, Training, Watcher, diverged

_MOST_NORM = 1.0


class Tower(torch.nn.Module):
    """Turns anchors, by number, into vectors; what of it needs a gradient is trained."""

    def forward(self, anchors: Indices) -> torch.Tensor:
        """Return the anchors' vectors, shape (anchors, dimension), of any length."""
        raise NotImplementedError

    def while_training(self) -> AbstractContextManager[object]:
        """Put on what is for the time of training alone."""
        return nullcontext()


T = TypeVar("T", bound=Tower)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedDocuments:
    """What a query side learns from."""

    lessons: CachedLessons
    #: Of length 1, shape (documents, dimension).
    vectors: torch.Tensor

    @classmethod
    def of(cls, job: FitJob) -> "CachedDocuments":
        """Read a job's pairs and document vectors.

        Raises:
            NothingToLearnError: they are missing or teach nothing.
            TrainerError: `job.out` exists already.

        """
        if job.out.exists():
            raise TrainerError(f"{job.out} exists already; a trained encoder is never written over")
        assert job.vectors is not None, "the job was validated"
        documents = DocumentVectors.read(job.vectors)
        return cls(
            lessons=CachedLessons.of(PairSet.read(job.pairs), documents),
            vectors=torch.nn.functional.normalize(
                torch.from_numpy(documents.vectors).to(training_device(job.config.device))
            ),
        )

    def loss(
        self, tower: Tower, rows: Indices, config: FitConfig, random: np.random.Generator
    ) -> torch.Tensor:
        """Return the weighted InfoNCE of some rows against the candidates."""
        lessons, device = self.lessons, self.vectors.device
        candidates = lessons.candidates(rows, config.batch_cached, random)
        target = np.searchsorted(candidates, lessons.positive[rows])
        return weighted_infonce(
            tower(lessons.anchor[rows]),
            self._of(candidates),
            target=torch.from_numpy(target).to(device),
            weight=torch.from_numpy(lessons.weight[rows]).to(device),
            forbidden=torch.from_numpy(lessons.forbidden(rows, candidates)).to(device),
            scale=_scale(config),
            unit_passages=True,
        )

    def _of(self, candidates: Indices) -> torch.Tensor:
        if len(candidates) == len(self.vectors):
            return self.vectors
        return self.vectors[torch.from_numpy(candidates).to(self.vectors.device)]


def train_tower(
    job: FitJob,
    config: FitConfig,
    *,
    epochs: float,
    make: Callable[[tuple[str, ...]], T],
    encoder_of: Callable[[T], SentenceTransformer],
    progress: Progress | None,
    clock: Callable[[], float],
) -> Tuned:
    """Make a tower for a job's anchors, train it, and write the encoder that it has become.

    Raises:
        TrainerError: several processes were started; the others see `Mode`.

    """
    if peers().count > 1:
        raise TrainerError(
            f"mode {config.mode} trains in one process, and {peers().count} were started; nothing"
            " was trained",
            next_step="start it without torchrun: it takes seconds, or take mode full",
        )
    started = clock()
    cached = CachedDocuments.of(job)
    torch.manual_seed(config.seed)
    with fast_hardware(config):
        tower = make(cached.lessons.anchors)
        looking = Utilisation(device=cached.vectors.device, threads=torch.get_num_threads())
        budget = [] if config.budget_s is None else [Budget(started + config.budget_s, clock)]
        with tower.while_training():
            training = learn(
                tower,
                cached,
                config,
                epochs=epochs,
                progress=progress,
                watchers=[looking, *budget],
            )
        save_encoder(encoder_of(tower), job.out)
    return Tuned.after(training, job.out, seconds=clock() - started, busy=looking.busy)


def learn(
    tower: Tower,
    cached: CachedDocuments,
    config: FitConfig,
    *,
    epochs: float,
    progress: Progress | None,
    watchers: Sequence[Watcher] = (),
) -> Training:
    """Train a tower; the learning rate and the decay are those of `config`.

    Raises:
        TrainerError: the loss is no number any more.

    """
    watchers = [*watchers, *trackers_of(config)]
    random = np.random.default_rng(config.seed)
    batches = list(_batches(len(cached.lessons.anchor), config.batch_queries, epochs, random))
    optimizer = optimiser_of(tower, tower, config)
    scheduler = scheduler_of(optimizer, config, len(batches))
    training = Training(
        model=tower, loss=tower, optimizer=optimizer, scheduler=scheduler, steps=len(batches)
    )
    for watcher in watchers:
        watcher.begin(training)
    for rows in batches:
        optimizer.zero_grad()
        loss = cached.loss(tower, rows, config, random)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(training.trained.values(), _MOST_NORM)
        optimizer.step()
        scheduler.step()
        training.losses.append(float(loss.detach()))
        if progress is not None:
            progress(len(training.losses), training.steps, training.losses[-1])
        for watcher in watchers:
            watcher.stepped(training)
        if training.ended or diverged(training.losses[-1:]):
            break
    if diverged(training.losses):
        raise TrainerError(
            f"training diverged: the loss of step {len(training.losses)} is no number",
            next_step=f"halve fit.{config.mode}.learning_rate",
        )
    for watcher in watchers:
        watcher.end(training)
    return training


def _batches(rows: int, size: int, epochs: float, random: np.random.Generator) -> Iterator[Indices]:
    """Yield shuffled rows, cut where an epoch's share is seen; there is always one batch."""
    left = max(1, round(rows * epochs))
    while left > 0:
        order = random.permutation(rows)[:left]
        left -= len(order)
        yield from (order[at : at + size] for at in range(0, len(order), size))


def _scale(config: FitConfig) -> float:
    settings = config.loss_settings if config.loss == "infonce" else {}
    return WeightedInfoNceConfig.model_validate(settings).scale
