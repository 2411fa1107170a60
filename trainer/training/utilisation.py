"""How busy a training keeps what it runs on: the GPU's own count, or the share of the cores."""

import importlib.util
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from desireline.trainer.training.watching import Training

#: Between two looks at a GPU, which itself counts over a quarter of a second or more.
_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Busy:
    """What was kept busy, and to which share of the time; no share where nothing could tell."""

    what: str
    share: float | None

    @property
    def sentence(self) -> str:
        """For people."""
        if self.share is None:
            return f"{self.what} busy: not known"
        return f"{self.what} busy {self.share:.0%}"


@dataclass(slots=True, kw_only=True)
class Utilisation:
    """A watcher that samples from the end of the first step, which sets things up, to the last."""

    device: torch.device
    threads: int
    #: Seconds of the wall, and of all this process's threads.
    clock: Callable[[], float] = time.perf_counter
    spent: Callable[[], float] = time.process_time
    busy: Busy | None = None
    _from: tuple[float, float] | None = None
    _gpu: "_GpuSamples | None" = field(default=None)

    def begin(self, training: Training) -> None:
        """Nothing to do."""

    def stepped(self, training: Training) -> None:  # noqa: ARG002 - a watcher's names
        """Begin after the first step."""
        if self._from is None:
            self._from = (self.clock(), self.spent())
            if self.device.type == "cuda" and importlib.util.find_spec("pynvml"):
                self._gpu = _GpuSamples(self.device)

    def end(self, training: Training) -> None:  # noqa: ARG002 - a watcher's names
        """Say what came of it."""
        if self.device.type == "cuda":
            self.busy = Busy("GPU", self._gpu.mean() if self._gpu else None)
        elif self._from is not None:
            wall, spent = self.clock() - self._from[0], self.spent() - self._from[1]
            cores = f"{self.threads} cores" if self.threads > 1 else "one core"
            self.busy = Busy(cores, spent / wall / self.threads if wall > 0 else None)


class _GpuSamples:
    """Asks the driver from time to time, in a thread of its own."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._seen: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def mean(self) -> float | None:
        """End, and return the mean share; None where no sample was taken."""
        self._over.set()
        self._thread.join()
        return sum(self._seen) / len(self._seen) if self._seen else None

    def _look(self) -> None:
        while not self._over.wait(_EVERY_S):
            try:
                self._seen.append(torch.cuda.utilization(self._device) / 100)
            except RuntimeError:  # a driver that does not count
                return
