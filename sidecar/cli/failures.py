"""Errors become one sentence, a next step and an exit code; never a traceback on the screen."""

import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from desireline.connectors.errors import DesirelineError
from desireline.sidecar.cli.exit_codes import ExitCode
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.config import environment
from desireline.sidecar.configuration.errors import ConfigError
from desireline.sidecar.errors import (
    CutOverRefusedError,
    HoldError,
    HookRefusedError,
    LeaseHeldError,
    NothingNamedError,
    RevertRefusedError,
    RunCancelledError,
    TargetUnknownError,
)
from desireline.sidecar.steering.controls import RateError

_USAGE = (ConfigError, NothingNamedError, RateError, TargetUnknownError)
_REFUSED = (
    CutOverRefusedError,
    HoldError,
    HookRefusedError,
    LeaseHeldError,
    RevertRefusedError,
    RunCancelledError,
)


def told(error: DesirelineError, terminal: Terminal) -> ExitCode:
    """Tell an expected error and return its exit code."""
    code = _code_of(error)
    terminal.result({"error": str(error), "next_step": error.next_step, "exit_code": int(code)})
    terminal.note(f"error: {error}", style="red")
    if error.next_step:
        terminal.note(f"next: {error.next_step}")
    if terminal.verbose:
        terminal.note(_traceback_of(error), style="dim")
    return code


def misused(error: Any, terminal: Terminal) -> ExitCode:
    """Tell programs of an option or argument that is missing or wrong; people see the usage."""
    context = error.ctx
    asked = context.command_path if context is not None else "desireline"
    code = ExitCode.USAGE
    body = {"error": error.format_message(), "next_step": f"{asked} --help"}
    terminal.result(body | {"exit_code": int(code)})
    terminal.note(f"error: {body['error']}", style="red")
    return code


def interrupted(terminal: Terminal, command: str) -> ExitCode:
    """Tell what Ctrl-C left behind."""
    sentence = (
        "interrupted; what serves is unchanged unless a line above says that a generation went live"
    )
    next_step = f"run `desireline {command}` again: finished work is kept and it goes on from there"
    code = ExitCode.INTERRUPTED
    terminal.result({"error": sentence, "next_step": next_step, "exit_code": int(code)})
    terminal.note(sentence, style="yellow")
    terminal.note(f"next: {next_step}")
    return code


def defect(error: Exception, terminal: Terminal) -> ExitCode:
    """Keep the traceback of an unexpected error in a file and name the file."""
    kept = _keep(_traceback_of(error))
    code = ExitCode.DEFECT
    sentence = f"unexpected {type(error).__name__}; this is a defect in desireline"
    terminal.result({"error": sentence, "traceback": str(kept), "exit_code": int(code)})
    terminal.note(f"error: {sentence}; its traceback is in {kept}", style="red")
    if terminal.verbose:
        terminal.note(_traceback_of(error), style="dim")
    return code


def _code_of(error: DesirelineError) -> ExitCode:
    if isinstance(error, _USAGE):
        return ExitCode.USAGE
    return ExitCode.REFUSED if isinstance(error, _REFUSED) else ExitCode.FAILED


def _traceback_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).rstrip()


def _keep(text: str) -> Path:
    """Write to the cache folder, or to a temporary file where that cannot be written."""
    name = f"error-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.log"
    for folder in (environment().cache_dir / "errors", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text + "\n", encoding="utf-8")
        except OSError:
            continue
        return folder / name
    return Path("/dev/null")
