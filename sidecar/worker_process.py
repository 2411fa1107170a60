"""Heavy work in a child process: torch lives and dies there, and sees no secret.

The child is `desireline.trainer.worker`; it reads a job file and writes one JSON event a
line. Its standard input is a pipe that ends when this process does, and so does the child.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from desireline.sidecar.errors import WorkerError
from desireline.sidecar.reports.reporting import Reporter
from desireline.trainer.jobs import AnyJob, write_job

log = structlog.get_logger(__name__)


class WorkerProcess:
    """Runs one job at a time in a fresh interpreter."""

    def __init__(self, *, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)

    def run(self, job: AnyJob, reporter: Reporter) -> dict[str, Any]:
        """Run the job to its end and return its result.

        Raises:
            WorkerError: the child failed, with its own sentence where it had one.
            KeyboardInterrupt: the user stopped it; the child is ended first.

        """
        with tempfile.TemporaryDirectory(prefix="desireline-job-") as folder:
            path = Path(folder, "job.json")
            write_job(job, path)
            noise = Path(folder, "stderr.log")
            with noise.open("wb") as stderr:
                child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    [sys.executable, "-m", "desireline.trainer.worker", str(path)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env=self._environment,
                    text=True,
                    encoding="utf-8",
                )
                try:
                    result = _follow(child, reporter)
                finally:
                    _end(child)
            if result is not None:
                return result
            raise WorkerError(
                f"the training process ended with code {child.returncode} and no result:"
                f" {_last_line(noise)}; what serves is unchanged",
                next_step="run the command again; if it ends so again, look at free memory",
            )


def _follow(child: subprocess.Popen[str], reporter: Reporter) -> dict[str, Any] | None:
    assert child.stdout is not None
    result = None
    for line in child.stdout:
        event = _parse(line)
        match event.pop("event", None):
            case "progress":
                name = str(event.pop("name", "fit"))
                reporter.progress(name, int(event.pop("done")), int(event.pop("total")), **event)
            case "step":
                reporter.step(str(event.pop("name")), str(event.pop("sentence")), **event)
            case "result":
                result = event
            case "error":
                raise WorkerError(str(event["message"]), next_step=str(event.get("next_step", "")))
    return result


def _parse(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        event = None
    if isinstance(event, dict):
        return event
    log.debug("the training process said something that is not an event")
    return {}


def _end(child: subprocess.Popen[str]) -> None:
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
    try:
        child.wait(timeout=10)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
