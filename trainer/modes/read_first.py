"""Texts teach first, then the mode's pairs."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from desireline.trainer.jobs import FitJob
from desireline.trainer.modes.base import Mode
from desireline.trainer.pairs import PairSet
from desireline.trainer.self_supervised.reading import learn_from_texts
from desireline.trainer.self_supervised_config import read_texts
from desireline.trainer.training.tuned import Progress, Tuned


def read_first(
    job: FitJob, mode: Mode, progress: Progress | None, *, clock: Callable[[], float]
) -> Tuned:
    """Let the encoder in `job.base` read, and train on from there; see `Mode`.

    A budget is for both. A share of the tuned weights is mixed with what reading left.
    """
    started, config = clock(), job.config
    assert config.self_supervised is not None, "there is nothing to read for"
    budget_s = config.budget_s
    share = None if budget_s is None else budget_s * config.self_supervised.budget_share
    with tempfile.TemporaryDirectory(prefix="desireline-read-") as scratch:
        read = learn_from_texts(
            _texts(job),
            job.base,
            Path(scratch, "read"),
            config.model_copy(update={"budget_s": share}),
            progress=progress,
            clock=clock,
        )
        left = None if budget_s is None else max(1.0, budget_s - (clock() - started))
        after = config.model_copy(update={"budget_s": left})
        tuned = mode(
            job.model_copy(update={"base": read.folder, "config": after}), progress, clock=clock
        )
    told = f"{config.self_supervised.objective} {read.sentence}, then pairs: "
    return replace(tuned, first=told, seconds=clock() - started)


def _texts(job: FitJob) -> list[str]:
    """Return what is read: the texts given, or each passage of the pairs."""
    if job.texts is not None:
        return read_texts(job.texts)
    return list(dict.fromkeys(pair.positive.text for pair in PairSet.read(job.pairs).pairs))
