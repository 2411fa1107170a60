"""Port: a job becomes a trained encoder's folder."""

import time
from collections.abc import Callable
from typing import Protocol

from desireline.trainer.jobs import FitJob
from desireline.trainer.training.tuned import Progress, Tuned


class Mode(Protocol):
    """Trains what the mode lets change, and leaves the rest as it is.

    Nothing is left at `job.out` unless training ended well; an interrupt leaves no trace. A spent
    budget ends training in good order. On a CPU the same job gives the same encoder.
    """

    def __call__(
        self,
        job: FitJob,
        progress: Progress | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> Tuned:
        """Train and write the encoder to `job.out`.

        Raises:
            NothingToLearnError: the pairs are missing or teach nothing.
            UnsafeModelError: the base cannot be loaded safely.
            TrainerError: the loss is no number any more, or `job.out` exists already.

        """
        ...
