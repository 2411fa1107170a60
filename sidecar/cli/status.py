"""`desireline status`: where each target stands."""

from collections.abc import Mapping
from typing import Annotated

import typer

from desireline.sidecar.cli.session import opened, terminal_of
from desireline.sidecar.cli.terminal import Terminal


def status(
    ctx: typer.Context,
    target: Annotated[str | None, typer.Argument(help="A target's name [all].")] = None,
) -> None:
    """Show which generation serves, how fresh it is, and how the last cycle ended.

    Example: `desireline status` or `desireline status products --json`

    Next: `desireline generations products` for the history.
    """
    terminal = terminal_of(ctx)
    with opened(ctx, target) as (config, sidecar):
        names = [target] if target else list(config.targets)
        found = {name: sidecar.status(name) for name in names}
    terminal.result({"targets": found})
    for name, body in found.items():
        _show(name, body, terminal)


def _show(name: str, body: Mapping[str, object], terminal: Terminal) -> None:
    terminal.say(name, style="bold")
    terminal.table(["", ""], [[key.replace("_", " "), _text(value)] for key, value in body.items()])


def _text(value: object) -> str:
    """Flatten a nested value into one readable line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(part)}" for key, part in value.items())
    if isinstance(value, list):
        return "; ".join(map(_text, value)) or "none"
    return "-" if value is None else str(value)
