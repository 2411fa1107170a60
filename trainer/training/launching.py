"""A job's training on several GPUs: `torchrun` starts a process for each, all with the same job."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from desireline.trainer.errors import TrainerError
from desireline.trainer.jobs import FitConfig, FitFilesJob, FitJob, write_job

Tell = Callable[[str, Mapping[str, object]], None]
"""Takes an event and its values."""


def processes_for(job: FitJob | FitFilesJob) -> int:
    """Say how many processes are still to be started for a job; 1 for none but this.

    As many as were asked for, or one for each GPU. A mode that takes seconds, one whose texts
    teach before its pairs do, and who was started by `torchrun` already train as they are.
    """
    if distributed.is_available() and distributed.is_torchelastic_launched():
        return 1
    if isinstance(job, FitJob):
        return _of_config(job.config)
    device = str(job.arguments.get("device") or "cuda")
    return job.processes or (torch.cuda.device_count() if device == "cuda" else 1) or 1


def _of_config(config: FitConfig) -> int:
    if config.mode not in {"lora", "full"} or config.self_supervised is not None:
        return 1
    return config.processes or (torch.cuda.device_count() if config.device != "cpu" else 1) or 1


def run_together(job: FitJob | FitFilesJob, count: int, tell: Tell) -> dict[str, object]:
    """Have several processes do a job; return what the first of them found.

    Their progress goes on to `tell`. All end when one does.

    Raises:
        TrainerError: one of them failed, with its own sentence where it had one.

    """
    with tempfile.TemporaryDirectory(prefix="desireline-together-") as folder:
        path = Path(folder, "job.json")
        write_job(job, path)
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
            [sys.executable, *torchrun, "-m", "desireline.trainer.worker", str(path)],
            # Theirs ends when this process does, and so do they.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        last = _follow(child, tell)
        status = child.wait()
    match last.pop("event", ""):
        case "result":
            return last
        case "error":
            raise TrainerError(str(last["message"]), next_step=str(last.get("next_step", "")))
    raise TrainerError(
        f"one of {count} processes that trained together ended before the training did (code"
        f" {status}), and so did all; nothing was written",
        next_step="look above for what ended it, often memory, and run the command again",
    )


def _follow(child: subprocess.Popen[str], tell: Tell) -> dict[str, Any]:
    """Return the first result or error that any of them says; an error comes before a result."""
    assert child.stdout is not None
    last: dict[str, Any] = {}
    for line in child.stdout:
        try:
            event = json.loads(line)
        except json.JSONDecodeError:  # a library's own words
            continue
        match event.get("event"):
            case "progress" | "step":
                tell(event.pop("event"), event)
            case "result" if not last and len(event) > 1:
                last = event
            case "error" if last.get("event") != "error":
                last = event
    return last
