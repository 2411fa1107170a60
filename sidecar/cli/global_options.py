"""The options every command knows, before or after it, and what becomes of its errors."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from desireline.connectors.errors import DesirelineError
from desireline.sidecar.cli import failures
from desireline.sidecar.cli.log_output import configure_log
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.config import CONFIG_FILE

_FLAGS = ("--json", "--verbose")
_CONFIG = "--config"

EPILOG = "Every command takes --config FILE, --json and --verbose."


@dataclass(frozen=True, slots=True, kw_only=True)
class Globals:
    """What the global options said."""

    config: Path = CONFIG_FILE
    terminal: Terminal = field(default_factory=Terminal)


class ForgivingGroup(TyperGroup):
    """Takes the global options anywhere on the line, and turns errors into exit codes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move the global options to the front."""
        return super().parse_args(ctx, _fronted(args))

    def invoke(self, ctx: Any) -> Any:
        """Run the command; no expected error leaves as a traceback."""
        try:
            return super().invoke(ctx)
        except DesirelineError as error:
            raise typer.Exit(failures.told(error, _terminal(ctx))) from error
        except KeyboardInterrupt as error:
            command = ctx.invoked_subcommand or ""
            raise typer.Exit(failures.interrupted(_terminal(ctx), command)) from error
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            if _is_usage(error) and not _terminal(ctx).as_json:
                raise
            if _is_usage(error):
                raise typer.Exit(failures.misused(error, _terminal(ctx))) from error
            raise typer.Exit(failures.defect(error, _terminal(ctx))) from error


def set_globals(
    ctx: typer.Context,
    config: Path = typer.Option(  # noqa: B008 - typer reads the default
        CONFIG_FILE, _CONFIG, "-c", help="The configuration file.", show_default=True
    ),
    as_json: bool = typer.Option(
        False, "--json", help="One JSON object on stdout and nothing else; events on stderr."
    ),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="The log and tracebacks too."),
) -> None:
    """Learn from your search clicks at night and put the better index live.

    Start with `desireline demo`. Then `desireline init` writes a configuration for your own
    cluster, `desireline doctor` says whether everything is in place, and `desireline tune` turns
    the wheel once.
    """
    configure_log(level=logging.DEBUG if verbose else logging.ERROR, as_json=as_json)
    ctx.obj = Globals(config=config, terminal=Terminal(as_json=as_json, verbose=verbose))


def _terminal(ctx: Any) -> Terminal:
    """Return the command's terminal; one that is unknown never came to have it made."""
    if isinstance(ctx.obj, Globals):
        return ctx.obj.terminal
    return Terminal(as_json=bool(ctx.params.get("as_json")))


def _is_usage(error: Exception) -> bool:
    """Tell whether typer raised it to show the usage; typer carries a click of its own."""
    return hasattr(error, "exit_code") and hasattr(error, "format_message")


def _fronted(args: list[str]) -> list[str]:
    """Return the arguments with the global options first; those after ``--`` stay."""
    front: list[str] = []
    rest: list[str] = []
    given = iter(args)
    for arg in given:
        if arg == "--":
            rest += [arg, *given]
        elif arg in _FLAGS or arg.startswith(f"{_CONFIG}="):
            front.append(arg)
        elif arg == _CONFIG:
            front += [arg, *[value for value in [next(given, None)] if value is not None]]
        else:
            rest.append(arg)
    return front + rest
