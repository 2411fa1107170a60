"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from desireline.sidecar.configuration.durations import parse_duration

TargetArgument = Annotated[
    str, typer.Argument(help="A target's name: [targets.NAME] in the configuration.")
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Processor threads [all].")]


def seconds_of(budget: str | None) -> float | None:
    """Return what --budget says; None where it was not given."""
    try:
        return None if budget is None else parse_duration(budget)
    except ValueError as error:
        raise typer.BadParameter(f"--budget is {budget!r}: {error}") from error


def whole_path(model: str) -> str:
    """Return the whole path of a folder, for another process to find; other names as they are."""
    return str(Path(model).absolute()) if Path(model).is_dir() else model
