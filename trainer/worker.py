"""The child process in which torch lives: one job in, one JSON event a line out.

Run as ``python -m desireline.trainer.worker JOB.json``. Events on standard output:

- ``{"event": "progress", "name": "fit", "done": 3, "total": 60, "loss": 0.41}``
- ``{"event": "result", "fingerprint": "...", ...}``, last, when the job is done
- ``{"event": "error", "message": "...", "next_step": "..."}``, last, when it failed

All else that any library prints goes to standard error. The process ends when its standard
input does, so that it never outlives the one who asked.
"""

import json
import os
import shutil
import sys
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TextIO

import structlog

from desireline.connectors.documents import TextTemplate
from desireline.connectors.errors import DesirelineError
from desireline.trainer.jobs import (
    AnyJob,
    FitFilesJob,
    FitJob,
    ImportJob,
    IntentJob,
    QuantiseJob,
    RerankJob,
    SynthesizeJob,
    WriteQueriesJob,
    read_job,
)

log = structlog.get_logger(__name__)


def main(arguments: list[str]) -> int:
    """Do the job in the file named; return the exit status."""
    events = _take_stdout()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    done = threading.Event()
    _end_with_parent(done)
    event, values, status = _outcome(Path(arguments[0]), events)
    done.set()
    _say(events, event, values)
    return status


def _outcome(path: Path, events: TextIO) -> tuple[str, Mapping[str, object], int]:
    """Do the job; return the last event to say, what it says, and the exit status."""
    try:
        return "result", run(read_job(path), events), 0
    except DesirelineError as error:
        return "error", {"message": str(error), "next_step": error.next_step}, 1
    except KeyboardInterrupt:
        message = "interrupted; nothing was registered and what serves is unchanged"
        return "error", {"message": message, "next_step": "run the command again"}, 130
    except Exception as error:
        log.exception("the job failed")
        message = f"the job failed unexpectedly: {type(error).__name__}: {error}"
        next_step = "what serves is unchanged; the log of the child process says where"
        return "error", {"message": message, "next_step": next_step}, 1


def run(job: AnyJob, events: TextIO) -> dict[str, object]:
    """Do one job; progress goes to `events` as JSON lines."""
    match job:
        case FitJob():
            done = _fit(job, events)
        case FitFilesJob():
            done = _fit_files(job, events)
        case ImportJob():
            done = _import(job)
        case QuantiseJob():
            done = _quantise(job)
        case WriteQueriesJob() | RerankJob():
            done = _miners_model(job, events)
        case IntentJob():
            done = _intent(job)
        case SynthesizeJob():
            done = _synthesize(job, events)
    return done


def _fit(job: FitJob, events: TextIO) -> dict[str, object]:
    """Train, export with proof, register."""
    from desireline.trainer.forms.export import export_onnx  # noqa: PLC0415 - seconds of torch
    from desireline.trainer.peers import peers  # noqa: PLC0415
    from desireline.trainer.registry import Registry  # noqa: PLC0415
    from desireline.trainer.share_search import train_with_share  # noqa: PLC0415
    from desireline.trainer.training.launching import processes_for, run_together  # noqa: PLC0415

    if (count := processes_for(job)) > 1:
        return run_together(job, count, partial(_say, events))

    def progress(done: int, total: int, loss: float) -> None:
        _say(events, "progress", {"name": "fit", "done": done, "total": total, "loss": loss})

    tuned, share = train_with_share(job, progress)
    if not peers().leads:
        return {}
    try:
        report = export_onnx(tuned.folder)
        manifest = Registry(job.registry).add(
            tuned.folder,
            template=TextTemplate(fields=job.template, separator=job.separator),
            similarity=job.similarity,
            provenance=job.provenance,
            documents=job.documents,
        )
    finally:
        shutil.rmtree(job.out, ignore_errors=True)
    return {
        "fingerprint": manifest.fingerprint,
        "steps": tuned.steps,
        "planned_steps": tuned.planned_steps,
        "seconds": round(tuned.seconds, 1),
        "first_loss": tuned.first_loss,
        "last_loss": tuned.last_loss,
        "sentence": "; ".join(filter(None, (tuned.sentence, share))),
        "lowest_cosine": report.lowest_cosine,
    }


def _fit_files(job: FitFilesJob, events: TextIO) -> dict[str, object]:
    from desireline.trainer.fit_job import fit_files  # noqa: PLC0415 - seconds of torch
    from desireline.trainer.training.launching import processes_for, run_together  # noqa: PLC0415

    if (count := processes_for(job)) > 1:
        return run_together(job, count, partial(_say, events))

    def progress(done: int, total: int, loss: float) -> None:
        _say(events, "progress", {"name": "fit", "done": done, "total": total, "loss": loss})

    return fit_files(job, progress)


def _import(job: ImportJob) -> dict[str, object]:
    from desireline.trainer.forms.import_model import import_model  # noqa: PLC0415 - seconds of torch
    from desireline.trainer.registry import Registry  # noqa: PLC0415

    template = TextTemplate(fields=job.template, separator=job.separator)
    manifest = import_model(job.source, Registry(job.registry), template)
    return {"fingerprint": manifest.fingerprint, "dimension": manifest.dimension}


def _quantise(job: QuantiseJob) -> dict[str, object]:
    from desireline.trainer.forms.quantise import quantise  # noqa: PLC0415 - the trainer extra's onnx
    from desireline.trainer.registry import Registry  # noqa: PLC0415

    manifest = quantise(Registry(job.registry), job.fingerprint)
    return {"fingerprint": manifest.fingerprint, "dimension": manifest.dimension}


def _miners_model(job: WriteQueriesJob | RerankJob, events: TextIO) -> dict[str, object]:
    return _rerank(job, events) if isinstance(job, RerankJob) else _write_queries(job, events)


def _write_queries(job: WriteQueriesJob, events: TextIO) -> dict[str, object]:
    from desireline.trainer.text_models.query_writer import write_queries  # noqa: PLC0415 - seconds of torch

    def progress(done: int, total: int) -> None:
        _say(events, "progress", {"name": "write_queries", "done": done, "total": total})

    return {"queries": write_queries(job, progress)}


def _rerank(job: RerankJob, events: TextIO) -> dict[str, object]:
    from desireline.trainer.text_models.cross_encoder import rerank  # noqa: PLC0415 - seconds of torch

    def progress(done: int, total: int) -> None:
        _say(events, "progress", {"name": "rerank", "done": done, "total": total})

    return {"right": rerank(job, progress)}


def _intent(job: IntentJob) -> dict[str, object]:
    from desireline.trainer.intent.apart import learn_apart  # noqa: PLC0415 - one job in many

    return learn_apart(job)


def _synthesize(job: SynthesizeJob, events: TextIO) -> dict[str, object]:
    from desireline.trainer.synthesis.synthesis_job import (  # noqa: PLC0415 - seconds of torch
        synthesize_files,
    )

    def progress(name: str, done: int, total: int) -> None:
        _say(events, "progress", {"name": name, "done": done, "total": total})

    return synthesize_files(job, progress)


def _say(events: TextIO, event: str, values: Mapping[str, object]) -> None:
    events.write(json.dumps({"event": event, **values}) + "\n")
    events.flush()


def _take_stdout() -> TextIO:
    """Keep standard output for events; whatever else is printed goes to standard error."""
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return events


def _end_with_parent(done: threading.Event) -> None:
    """End at once when standard input ends before the job is done: nobody wants the result."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        if not done.is_set():
            os._exit(130)

    if not os.isatty(0):
        threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
