"""sentence-transformers' Trainer, told what we want of it and followed step by step."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from transformers import TrainerCallback

from desireline.trainer.batch_loading import Schedule
from desireline.trainer.devices import half_precision, training_device
from desireline.trainer.jobs import FitConfig
from desireline.trainer.lessons import Indices
from desireline.trainer.tuned import Progress
from desireline.trainer.watching import Training, Watcher


class LibraryTrainer(SentenceTransformerTrainer):
    """The library's trainer without its model card: the registry's manifest is ours."""

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Write no card; it would encode examples and ask a hub for them."""


class Watch(TrainerCallback):
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


def arguments(
    scratch: Path, config: FitConfig, batches: list[Indices]
) -> SentenceTransformerTrainingArguments:
    """Say how the batches are gone through: once, in order, one loss a step."""
    return SentenceTransformerTrainingArguments(
        output_dir=str(scratch),
        max_steps=max(1, len(batches)),
        batch_sampler=lambda dataset, **_: Schedule(dataset, batches),
        max_grad_norm=1.0,
        bf16=half_precision(config),
        use_cpu=training_device(config.device) == "cpu",
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
