"""Texts in, an encoder that has read them out."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import structlog
import torch

from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
from desireline.trainer.errors import NothingToLearnError, TrainerError
from desireline.trainer.jobs import FitConfig
from desireline.trainer.self_supervised.base import Make, Objective
from desireline.trainer.self_supervised.mlm import MaskedWords
from desireline.trainer.self_supervised.simcse import SimCse
from desireline.trainer.self_supervised.tsdae import Tsdae
from desireline.trainer.self_supervised_config import ObjectiveName, SelfSupervisedConfig
from desireline.trainer.training.devices import (
    attentions,
    fast_hardware,
    half_precision,
    training_device,
)
from desireline.trainer.training.optimising import optimiser_of
from desireline.trainer.training.preparing import prepare_weights
from desireline.trainer.training.tuned import Progress, Tuned, save_encoder
from desireline.trainer.training.watching import Budget, Training, Watcher, diverged

log = structlog.get_logger(__name__)

OBJECTIVES: Mapping[ObjectiveName, Make] = {"tsdae": Tsdae, "simcse": SimCse, "mlm": MaskedWords}
_MOST_NORM = 1.0


def learn_from_texts(
    texts: Sequence[str],
    base: Path,
    out: Path,
    config: FitConfig,
    *,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
    watchers: Sequence[Watcher] = (),
) -> Tuned:
    """Let the encoder in `base` read texts, as `config.self_supervised` says, into `out`.

    Nothing is left at `out` unless reading ended well. On a CPU the same arguments give the same
    encoder. Word vectors and frozen layers stay as `config` says; of its budget all may be spent.

    Raises:
        NothingToLearnError: fewer than two different texts.
        UnsafeModelError: the base cannot be loaded safely.
        TrainerError: the objective does not fit the encoder, the loss is no number any more, or
            `out` exists already.

    """
    if out.exists():
        raise TrainerError(f"{out} exists already; a trained encoder is never written over")
    settings = config.self_supervised
    assert settings is not None, "there is nothing to do"
    started = clock()
    known = list(dict.fromkeys(text for text in texts if text.strip()))
    if len(known) < 2:  # noqa: PLR2004 - one text tells nothing apart
        raise NothingToLearnError(f"{len(known)} texts teach nothing")
    torch.manual_seed(config.seed)
    if config.budget_s is not None:
        watchers = [*watchers, Budget(started + config.budget_s, clock)]
    with fast_hardware(config):
        model = load_sentence_transformer(
            base, device=training_device(config.device), attentions=attentions(config)
        )
        prepare_weights(model, config.model_copy(update={"dropout": True}))
        make = OBJECTIVES[settings.objective]
        objective = make(model, known, settings, config.document_tokens)
        training = _read(objective, known, config, settings, (watchers, progress))
    save_encoder(model, out)
    log.info("texts read", objective=settings.objective, steps=len(training.losses))
    return Tuned.after(training, out, seconds=clock() - started)


def _read(
    objective: Objective,
    texts: Sequence[str],
    config: FitConfig,
    settings: SelfSupervisedConfig,
    onlookers: tuple[Sequence[Watcher], Progress | None],
) -> Training:
    watchers, progress = onlookers
    batches = list(_batches(len(texts), settings, np.random.default_rng(config.seed)))
    rates = {
        "learning_rate": settings.learning_rate,
        "loss_learning_rate": settings.thrown_away_learning_rate,
    }
    config = config.model_copy(update=rates)
    optimizer = optimiser_of(objective.model, objective, config)
    training = Training(
        model=objective.model,
        loss=objective,
        optimizer=optimizer,
        scheduler=_schedule(optimizer, objective, config, settings, len(batches)),
        steps=len(batches),
    )
    objective.train()
    for watcher in watchers:
        watcher.begin(training)
    for batch in batches[len(training.losses) :]:
        _step(training, [texts[row] for row in batch], config)
        if progress is not None:
            progress(len(training.losses), training.steps, training.losses[-1])
        for watcher in watchers:
            watcher.stepped(training)
        if training.ended or diverged(training.losses[-1:]):
            break
    if diverged(training.losses):
        raise TrainerError(
            f"training diverged: the loss of step {len(training.losses)} is no number",
            next_step="halve fit.self_supervised.learning_rate",
        )
    for watcher in watchers:
        watcher.end(training)
    return training


def _schedule(
    optimizer: torch.optim.Optimizer,
    objective: Objective,
    config: FitConfig,
    settings: SelfSupervisedConfig,
    steps: int,
) -> torch.optim.lr_scheduler.LambdaLR:
    """Let the rates rise and fall as a cosine; the encoder's begin when its head start is over."""
    encoder = {id(weight) for weight in objective.model.parameters()}
    alone = len(encoder) == sum(1 for _ in objective.parameters())
    begin = 0 if alone else round(settings.head_start * steps)
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        [
            _rising_and_falling(
                begin if id(group["params"][0]) in encoder else 0, steps, config.warmup_share
            )
            for group in optimizer.param_groups
        ],
    )


def _rising_and_falling(begin: int, steps: int, warmup_share: float) -> Callable[[int], float]:
    warmup = round(warmup_share * (steps - begin))

    def rate(step: int) -> float:
        done = step - begin
        if done < 0:
            return 0.0
        if done < warmup:
            return (done + 1) / (warmup + 1)
        return 0.5 + 0.5 * math.cos(math.pi * (done - warmup) / max(1, steps - begin - warmup))

    return rate


def _step(training: Training, texts: Sequence[str], config: FitConfig) -> None:
    training.optimizer.zero_grad()
    with torch.autocast(
        training_device(config.device), torch.bfloat16, enabled=half_precision(config)
    ):
        loss: torch.Tensor = training.loss(texts)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(training.trained.values(), _MOST_NORM)
    training.optimizer.step()
    training.scheduler.step()
    training.losses.append(float(loss.detach()))


def _batches(
    texts: int, settings: SelfSupervisedConfig, random: np.random.Generator
) -> Iterator[list[int]]:
    """Yield shuffled rows, as many as epochs and steps allow; there is always one batch."""
    left, steps = max(2, round(texts * settings.epochs)), settings.max_steps
    while left > 1 and steps:
        order = random.permutation(texts)[:left]
        left -= len(order)
        for start in range(0, len(order), settings.batch_texts):
            batch = order[start : start + settings.batch_texts].tolist()
            if len(batch) > 1 and steps:
                steps -= 1
                yield batch
