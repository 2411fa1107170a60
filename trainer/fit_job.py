"""`fit` as the child process is asked for it."""

import inspect
from typing import Any

from desireline.trainer.callbacks import (
    BestModelCheckpoint,
    Callback,
    EarlyStopping,
    WiSEFTCallback,
)
from desireline.trainer.errors import TrainerError
from desireline.trainer.fitting import fit
from desireline.trainer.jobs import FitFilesJob
from desireline.trainer.training.tuned import Progress


def fit_files(job: FitFilesJob, progress: Progress) -> dict[str, object]:
    """Tune, and give the run without its single losses.

    Raises:
        TrainerError: as `fit`; also an argument that `fit` does not take.

    """
    callbacks: list[Callback] = [BestModelCheckpoint(), WiSEFTCallback(alpha=job.alpha)]
    if job.patience is not None:
        callbacks.append(EarlyStopping(patience=job.patience))
    arguments: dict[str, Any] = dict(job.arguments)
    arguments |= {"callbacks": callbacks, "done_by": job.done_by, "progress": progress}
    try:
        inspect.signature(fit).bind(**arguments)
    except TypeError as error:
        raise TrainerError(f"fit cannot be asked so: {error}; nothing was trained") from error
    run = fit(**arguments)
    return {
        "folder": str(run.folder),
        "before": run.before,
        "after": run.after,
        "best_step": run.best_step,
        "batch_size": run.batch_size,
        "learning_rate": run.learning_rate,
        "seconds": round(run.seconds, 1),
        "first_loss": run.losses[0],
        "last_loss": run.losses[-1],
        "sentence": run.sentence,
    }
