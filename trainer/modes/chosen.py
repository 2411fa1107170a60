"""The mode that a job asks for."""

import time
from collections.abc import Callable, Mapping

from desireline.trainer.jobs import FitJob, TrainedMode
from desireline.trainer.modes import adapter, full, lora, query
from desireline.trainer.modes.base import Mode
from desireline.trainer.modes.read_first import read_first
from desireline.trainer.tuning import Progress, Tuned

MODES: Mapping[TrainedMode, Mode] = {
    "adapter": adapter.train,
    "query": query.train,
    "lora": lora.train,
    "full": full.train,
}


def train(
    job: FitJob,
    progress: Progress | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Train as `job.config.mode` says, after the texts were read where it says so; see `Mode`."""
    mode = MODES[job.config.mode]
    if job.config.reads_texts:
        return read_first(job, mode, progress, clock=clock)
    return mode(job, progress, clock=clock)
