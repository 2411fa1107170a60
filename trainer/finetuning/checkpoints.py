"""A training survives kill -9: its state in safetensors and JSON, never a pickle."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import structlog
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from desireline.trainer.errors import CheckpointError
from desireline.trainer.peers import peers
from desireline.trainer.training.watching import Training, Watcher

log = structlog.get_logger(__name__)

_TENSORS, _VALUES = "state.safetensors", "state.json"
Tensors = dict[str, torch.Tensor]


class Keeper(Watcher, Protocol):
    """A watcher whose own state belongs into a checkpoint."""

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Give tensors, and values for JSON."""
        ...

    def restore(self, tensors: Tensors, values: Mapping[str, Any]) -> None:
        """Take back what `state` gave."""
        ...


@dataclass(slots=True, kw_only=True)
class Checkpoints:
    """Writes the state of a training from time to time and puts the last one back.

    Each is a folder of its own, written beside and renamed, so that one by the name of a step is
    always whole; the one before goes when the next is there. One of another training (`digest`)
    is thrown away. Keepers look on through this one: before a state is written, after one is put
    back.
    """

    folder: Path
    #: Names the training: equal for equal pairs, encoder and settings.
    digest: str
    clock: Callable[[], float]
    every_s: float = 60.0
    keepers: Sequence[Keeper] = ()
    _last: float = field(default=0.0)

    def begin(self, training: Training) -> None:
        """Put the last state back, if there is one of this very training."""
        self._last = self.clock()
        self._resume(training)
        for keeper in self.keepers:
            keeper.begin(training)

    def stepped(self, training: Training) -> None:
        """Write the state when it is time."""
        for keeper in self.keepers:
            keeper.stepped(training)
        if self.clock() - self._last >= self.every_s and not training.ended:
            self.write(training)
            self._last = self.clock()

    def end(self, training: Training) -> None:
        """Leave the last state there: `remove` is called when the result is safe."""
        for keeper in self.keepers:
            keeper.end(training)

    def remove(self) -> None:
        """Throw all checkpoints away."""
        if peers().leads:
            shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, training: Training) -> None:
        """Write the state now.

        Raises:
            CheckpointError: the disk does not take it.

        """
        tensors, values = _state_of(training)
        for number, keeper in enumerate(self.keepers):
            kept, of_keeper = keeper.state()
            tensors |= {f"keeper.{number}.{name}": tensor for name, tensor in kept.items()}
            values[f"keeper.{number}"] = of_keeper
        values["digest"] = self.digest
        if not peers().leads:
            return
        done = len(training.losses)
        partial, whole = self.folder / "partial", self.folder / f"step-{done}"
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            save_file(_on_cpu(tensors), partial / _TENSORS)
            (partial / _VALUES).write_text(json.dumps(values), encoding="utf-8")
            partial.rename(whole)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise CheckpointError(
                f"the checkpoint {whole} cannot be written: {error}; training ended",
                next_step="make room, or name another out; the run goes on from the one before",
            ) from error
        for old in self.folder.glob("step-*"):
            if old != whole:
                shutil.rmtree(old, ignore_errors=True)

    def _resume(self, training: Training) -> None:
        found = sorted(self.folder.glob("step-*"), key=lambda path: int(path.name[5:]))
        if not found:
            return
        values = _values_of(found[-1])
        if values.get("digest") != self.digest:
            log.info("checkpoint of another training left out", folder=str(self.folder))
            self.remove()
            return
        self._restore(training, _tensors_of(found[-1]), values)
        log.info("training resumed", step=len(training.losses), planned_steps=training.steps)

    def _restore(self, training: Training, tensors: Tensors, values: Mapping[str, Any]) -> None:
        for number, keeper in enumerate(self.keepers):
            keeper.restore(_under(tensors, f"keeper.{number}."), values[f"keeper.{number}"])
        with torch.no_grad():
            for name, weight in training.trained.items():
                weight.copy_(tensors[f"weight.{name}"])
        training.losses.extend(values["losses"])
        _restore_optimizer(training.optimizer, _under(tensors, "optimizer."), values["rates"])
        scheduler = training.scheduler.state_dict()
        training.scheduler.load_state_dict(scheduler | values["scheduler"])
        torch.set_rng_state(tensors["random"])
        if "random.gpu" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random.gpu"])


def _state_of(training: Training) -> tuple[Tensors, dict[str, Any]]:
    tensors: Tensors = {
        f"weight.{name}": weight.detach() for name, weight in training.trained.items()
    }
    for number, moments in training.optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"optimizer.{number}.{name}"] = torch.as_tensor(value)
    tensors["random"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.gpu"] = torch.cuda.get_rng_state()
    scheduler = training.scheduler.state_dict().items()
    values = {
        "losses": list(training.losses),
        "rates": [group["lr"] for group in training.optimizer.param_groups],
        "scheduler": {name: value for name, value in scheduler if _plain(value)},
    }
    return tensors, values


def _restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Tensors, rates: Sequence[float]
) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, moment = name.partition(".")
        state.setdefault(int(number), {})[moment] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate


def _on_cpu(tensors: Tensors) -> Tensors:
    """Give tensors that share no memory, as the format wants them."""
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}


def _plain(value: object) -> bool:
    if isinstance(value, list):
        return all(_plain(each) for each in value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _under(tensors: Tensors, start: str) -> Tensors:
    return {
        name.removeprefix(start): tensor
        for name, tensor in tensors.items()
        if name.startswith(start)
    }


def _values_of(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / _VALUES).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(folder, error) from error
    return found


def _tensors_of(folder: Path) -> Tensors:
    try:
        found: Tensors = load_file(folder / _TENSORS)
    except (OSError, SafetensorError) as error:
        raise _unreadable(folder, error) from error
    return found


def _unreadable(folder: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"the checkpoint {folder} cannot be read: {error}; nothing was trained",
        next_step="remove that folder: training then starts anew",
    )
