"""The mode that a job asks for."""

import time
from collections.abc import Callable, Mapping

from desireline.trainer.jobs import FitJob, TrainedMode
from desireline.trainer.modes import adapter, full, lora, query, small
from desireline.trainer.modes.base import Mode
from desireline.trainer.modes.read_first import read_first
from desireline.trainer.training.trackers import open_trackers
from desireline.trainer.training.tuned import Progress, Tuned

MODES: Mapping[TrainedMode, Mode] = {
    "adapter": adapter.train,
    "query": query.train,
    "lora": lora.train,
    "full": full.train,
    "small": small.train,
}


def train(
    job: FitJob,
    progress: Progress | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Train as `job.config.mode` says, after the texts were read where it says so; see `Mode`."""
    open_trackers(job.config.report_to)
    job = _with_a_place_for_reports(job)
    mode = MODES[job.config.mode]
    if job.config.reads_texts:
        return read_first(job, mode, progress, clock=clock)
    return mode(job, progress, clock=clock)


def _with_a_place_for_reports(job: FitJob) -> FitJob:
    """Have trackers write beside the registry: what lies beside the result is thrown away."""
    folder = job.config.report_folder or str(job.registry.parent)
    config = job.config.model_copy(update={"report_folder": folder})
    return job.model_copy(update={"config": config})
