"""What may look on while an encoder trains: save it, judge it, put it back, end it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch


@dataclass(slots=True, kw_only=True)
class Training:
    """All that a training changes as it goes."""

    model: torch.nn.Module
    #: Holds the model; may have weights of its own.
    loss: torch.nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: Any
    #: Steps planned.
    steps: int
    #: Of every step done.
    losses: list[float] = field(default_factory=list)
    #: What was measured, by steps done, where somebody measures.
    measured: dict[int, Mapping[str, float]] = field(default_factory=dict)
    #: Why training ended before its last step; empty while it goes on.
    ended: str = ""

    @property
    def trained(self) -> dict[str, torch.nn.Parameter]:
        """The weights that training changes, those of the loss among them, each once."""
        return {name: each for name, each in self.loss.named_parameters() if each.requires_grad}


class Watcher(Protocol):
    """Follows one training from its first step to its last."""

    def begin(self, training: Training) -> None:
        """Look before the first step; may put an earlier state back, `losses` with it."""
        ...

    def stepped(self, training: Training) -> None:
        """Look after each step; setting `ended` ends the training."""
        ...

    def end(self, training: Training) -> None:
        """Look after the last step; may put better weights back."""
        ...


@dataclass(frozen=True, slots=True)
class Budget:
    """Ends a training in good order when its time is over."""

    until: float
    clock: Callable[[], float]

    def begin(self, training: Training) -> None:
        """Nothing to do."""

    def stepped(self, training: Training) -> None:
        """Look at the clock."""
        if self.clock() >= self.until and len(training.losses) < training.steps:
            training.ended = "budget spent"

    def end(self, training: Training) -> None:
        """Nothing to do."""


def diverged(losses: Sequence[float]) -> bool:
    """Whether there is no loss at all, or one that is no number."""
    return not losses or not bool(torch.isfinite(torch.tensor(losses)).all())
