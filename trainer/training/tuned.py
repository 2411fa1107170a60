"""What comes of a training: an encoder's folder, and how it went."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer

from desireline.trainer.errors import TrainerError
from desireline.trainer.peers import peers
from desireline.trainer.training.utilisation import Busy
from desireline.trainer.training.watching import Training

Progress = Callable[[int, int, float], None]
"""Told after every step: steps done, steps in all, loss of the step."""


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
    #: What texts taught before, in words that a sentence begins with; empty where they did not.
    first: str = ""
    #: What training kept busy; None where it was not looked at.
    busy: Busy | None = None

    @classmethod
    def after(
        cls, training: Training, folder: Path, *, seconds: float, busy: Busy | None = None
    ) -> "Tuned":
        """Say how a training went whose encoder lies in a folder."""
        return cls(
            folder=folder,
            steps=len(training.losses),
            planned_steps=training.steps,
            seconds=seconds,
            losses=tuple(training.losses),
            ended=training.ended,
            busy=busy,
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
        busy = f", {self.busy.sentence}" if self.busy else ""
        return (
            f"{self.first}{self.steps} steps{cut}, {self.seconds:.0f} s, "
            f"loss {self.first_loss:.3f} -> {self.last_loss:.3f}{busy}"
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
    """Write beside and rename, so that a folder at `out` is always whole.

    Of several processes that trained together the first writes, and all wait for it.
    """
    together = peers()
    if together.leads:
        _write(model, out)
    together.wait()


def _write(model: SentenceTransformer, out: Path) -> None:
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        model.save_pretrained(str(partial), create_model_card=False, safe_serialization=True)
        partial.rename(out)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise TrainerError(
            f"the trained encoder cannot be written to {out}: {error}; what serves is unchanged",
            next_step="make room there, then ask for the same again",
        ) from error
