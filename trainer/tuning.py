"""The training loop: lessons in, a tuned encoder's folder out."""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
import torch
from datasets import Dataset
from numpy.typing import NDArray
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.modules import Dense, Normalize
from transformers import PrinterCallback, TrainerCallback

from desireline.trainer.batch_loading import Collator, Schedule, tokenise
from desireline.trainer.batches import BatchPlan, schedule
from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
from desireline.trainer.errors import TrainerError
from desireline.trainer.jobs import FitConfig, FitJob
from desireline.trainer.lessons import Indices, Lessons
from desireline.trainer.losses.vectors import make_loss
from desireline.trainer.optimising import depths_of, optimiser_of, scheduler_of
from desireline.trainer.pairs import PairSet
from desireline.trainer.watching import Budget, Training, Watcher, diverged

log = structlog.get_logger(__name__)

Progress = Callable[[int, int, float], None]
"""Told after every step: steps done, steps in all, loss of the step."""

Dress = Callable[[SentenceTransformer], AbstractContextManager[None]]
"""Puts something on an encoder for the time of its training, and takes it off again."""

#: With more documents, likeness is not worth its time; each is drawn by itself.
_MOST_ALIKE = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """A trained encoder and how its training went."""

    folder: Path
    steps: int
    planned_steps: int
    seconds: float
    #: Of every step.
    losses: tuple[float, ...]
    #: Why training ended before its last planned step; empty where it did not.
    ended: str = ""

    @classmethod
    def after(cls, training: Training, folder: Path, *, seconds: float) -> "Tuned":
        """Say how a training went whose encoder lies in a folder."""
        return cls(
            folder=folder,
            steps=len(training.losses),
            planned_steps=training.steps,
            seconds=seconds,
            losses=tuple(training.losses),
            ended=training.ended,
        )

    @property
    def first_loss(self) -> float:
        """Of the first step."""
        return self.losses[0]

    @property
    def last_loss(self) -> float:
        """Of the last step."""
        return self.losses[-1]

    @property
    def sentence(self) -> str:
        """One line for people; says why training ended early where it did."""
        cut = f" of {self.planned_steps}, {self.ended}" if self.ended else ""
        return (
            f"{self.steps} steps{cut}, {self.seconds:.0f} s, "
            f"loss {self.first_loss:.3f} -> {self.last_loss:.3f}"
        )


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
    with processor_threads(config.threads):
        model = load_sentence_transformer(base, device=training_device())
        if config.output_dim:
            _project(model, config.output_dim)
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
            training = _train(model, lessons, batches, config, (watchers, progress or _silent))
    interpolate(model, before, config.tuned_share)
    save_encoder(model, out)
    log.info("encoder trained", steps=len(training.losses), planned_steps=len(batches))
    return Tuned.after(training, out, seconds=clock() - started)


def _silent(done: int, total: int, loss: float) -> None:
    pass


class processor_threads:  # noqa: N801 - used as a word in a with statement
    """Sets torch's processor threads for a while."""

    def __init__(self, count: int | None) -> None:
        self._count = count
        self._before = torch.get_num_threads()

    def __enter__(self) -> None:
        if self._count:
            torch.set_num_threads(self._count)

    def __exit__(self, *error: object) -> None:
        torch.set_num_threads(self._before)


class _Watch(TrainerCallback):
    """Reports each step to whoever looks on, and ends training when one of them says so."""

    def __init__(self, training: Training, watchers: Sequence[Watcher], progress: Progress) -> None:
        self._training = training
        self._watchers = watchers
        self._progress = progress
        self._random: torch.Tensor | None = torch.get_rng_state()

    def on_step_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ARG002 - the trainer's names
        """Draw on from where the watchers left it: the trainer seeds and draws before this."""
        if self._random is not None:
            torch.set_rng_state(self._random)
            self._random = None

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any) -> None:  # noqa: ARG002 - the trainer's names
        """Take the loss of one step, and have everybody look."""
        if not logs or "loss" not in logs:
            return
        training = self._training
        training.losses.append(float(logs["loss"]))
        self._progress(len(training.losses), training.steps, training.losses[-1])
        for watcher in self._watchers:
            watcher.stepped(training)
        if training.ended:
            control.should_training_stop = True


def training_device() -> str:
    """Where this machine trains."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def _plan(config: FitConfig) -> BatchPlan:
    return BatchPlan(
        documents=config.batch_documents,
        pairs_a_document=config.pairs_a_document,
        alike=config.alike,
    )


def half_precision(config: FitConfig) -> bool:
    """Whether the forward pass is in bfloat16; without hardware for it, it would be slower."""
    if config.precision != "auto":
        return config.precision == "bfloat16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


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
        torch.autocast(training_device(), torch.bfloat16, enabled=half_precision(config)),
    ):
        for start in range(0, len(first), 64):
            texts = [lessons.passages[number].text for number in first[start : start + 64]]
            tokens = tokenise(model, texts, task="document", most=config.document_tokens)
            on_device = {
                key: value.to(training_device()) if isinstance(value, torch.Tensor) else value
                for key, value in tokens.items()
            }
            embedded = model(on_device)["sentence_embedding"].float()
            vectors.append(torch.nn.functional.normalize(embedded).cpu().numpy())
    return np.concatenate(vectors)


class _Trainer(SentenceTransformerTrainer):
    """The library's trainer without its model card: the registry's manifest is ours."""

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Write no card; it would encode examples and ask a hub for them."""


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
        watch = _Watch(training, watchers, progress)
        trainer = _Trainer(
            model=model,
            args=_arguments(Path(scratch), config, left),
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


def prepare_weights(model: SentenceTransformer, config: FitConfig) -> None:
    """Freeze word vectors unless they are all there is; turn dropout off unless asked for."""
    frozen = [
        parameter for name, parameter in model.named_parameters() if ".embeddings." in f".{name}"
    ]
    if config.freeze_token_embeddings and len(frozen) < len(list(model.parameters())):
        for parameter in frozen:
            parameter.requires_grad = False
    _freeze_layers(model, config.frozen_layers)
    if not config.dropout:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0


def _freeze_layers(model: SentenceTransformer, count: int) -> None:
    """Freeze the lowest layers, embeddings among them, but never the top one."""
    depths = depths_of(model)
    top = max((depth for depth in depths.values()), default=0) - 1
    for name, parameter in model.named_parameters():
        if count and depths[name] < min(count + 1, top):
            parameter.requires_grad = False


def _project(model: SentenceTransformer, dimension: int) -> None:
    """Put a linear projection on top, an orthogonal one to begin with: it keeps distances best."""
    last = len(model)
    at = last - 1 if isinstance(model[last - 1], Normalize) else last
    length = int(model.get_embedding_dimension() or 0)
    dense = Dense(length, dimension, bias=False, activation_function=torch.nn.Identity())
    torch.nn.init.orthogonal_(dense.linear.weight)
    model.insert(at, dense.to(model.device))


def _arguments(
    scratch: Path, config: FitConfig, batches: list[Indices]
) -> SentenceTransformerTrainingArguments:
    return SentenceTransformerTrainingArguments(
        output_dir=str(scratch),
        max_steps=max(1, len(batches)),
        batch_sampler=lambda dataset, **_: Schedule(dataset, batches),
        max_grad_norm=1.0,
        bf16=half_precision(config),
        use_cpu=training_device() == "cpu",
        seed=config.seed,
        data_seed=config.seed,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )


def interpolate(
    model: SentenceTransformer, before: dict[str, torch.Tensor], tuned_share: float
) -> None:
    """Mix the weights before and after (WiSE-FT, Wortsman et al. 2022)."""
    if tuned_share == 1:
        return
    mixed = {
        name: torch.lerp(before[name].to(tensor.device), tensor, tuned_share)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in model.state_dict().items()
    }
    model.load_state_dict(mixed)


def save_encoder(model: SentenceTransformer, out: Path) -> None:
    """Write beside and rename, so that a folder at `out` is always whole."""
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        model.save_pretrained(str(partial), create_model_card=False, safe_serialization=True)
        partial.rename(out)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise TrainerError(
            f"the trained encoder cannot be written to {out}: {error}; what serves is unchanged"
        ) from error
