"""sentence-transformers' Trainer, told what we want of it and followed step by step."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from transformers import TrainerCallback

from desireline.trainer.jobs import FitConfig
from desireline.trainer.peers import Peers, peers
from desireline.trainer.training.batch_stream import Batch, BatchStream
from desireline.trainer.training.devices import half_precision, training_device
from desireline.trainer.training.tuned import Progress
from desireline.trainer.training.watching import Training, Watcher


class LibraryTrainer(SentenceTransformerTrainer):
    """The library's trainer over batches that are drawn and on their device already.

    Several processes go through the same batches and add their gradients up; its own way, each
    with batches of its own, would learn against the documents of one process alone.
    """

    def __init__(self, *, stream: BatchStream, together: Peers, **more: Any) -> None:
        self._stream = stream
        self._together = together
        super().__init__(**more)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Write no card; it would encode examples and ask a hub for them."""

    def create_accelerator_and_postprocess(self) -> None:
        """Have no wrapper put on the model that would average gradients."""
        super().create_accelerator_and_postprocess()
        whole: Any = self.accelerator
        whole.prepare_model = partial(whole.prepare_model, evaluation_mode=True)

    def get_train_dataloader(self) -> Any:
        """Give the stream as it is: nobody parts it."""
        return self._stream

    def _prepare_inputs(self, inputs: Batch) -> Batch:
        return inputs

    def training_step(self, *arguments: Any, **named: Any) -> torch.Tensor:
        """Go one step forward and backward, and add the gradients of all processes up."""
        loss: torch.Tensor = super().training_step(*arguments, **named)
        if self._together.count > 1:
            self._add_up()
        return loss

    def _add_up(self) -> None:
        whole: Any = self.loss
        encoder = {id(weight) for weight in self.model.parameters()}
        gradients = [(weight, weight.grad) for weight in whole.parameters()]
        for weight, gradient in gradients:
            # All processes have the whole loss, so that its own weights have the whole gradient.
            if gradient is not None and id(weight) not in encoder:
                gradient.div_(self._together.count)
        self._together.add_up(gradient for _, gradient in gradients)


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
        training.ended = peers().agreed(training.ended)
        if training.ended:
            control.should_training_stop = True


def arguments(scratch: Path, config: FitConfig, steps: int) -> SentenceTransformerTrainingArguments:
    """Say how the batches are gone through: once, in order, one loss a step."""
    on_processor = training_device(config.device) == "cpu"
    made = SentenceTransformerTrainingArguments(
        output_dir=str(scratch),
        max_steps=max(1, steps),
        max_grad_norm=1.0,
        bf16=half_precision(config),
        use_cpu=on_processor,
        ddp_backend=peers().backend,
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
    # One process, one device: of several GPUs without torchrun, the others are left alone.
    made._n_gpu = min(made.n_gpu, 1)  # noqa: SLF001 - there is no public way
    return made
