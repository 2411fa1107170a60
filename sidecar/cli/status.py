"""`desireline status`: where each target stands."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from desireline.sidecar.cli.exit_codes import ExitCode
from desireline.sidecar.cli.session import opened, terminal_of
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.cli.watch import Watch
from desireline.sidecar.config import Config
from desireline.sidecar.configuration.errors import ConfigError

if TYPE_CHECKING:
    from desireline.sidecar.operations import Sidecar


def status(
    ctx: typer.Context,
    target: Annotated[str | None, typer.Argument(help="A target's name [all].")] = None,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Follow the run until it ends, or Ctrl-C.")
    ] = False,
) -> None:
    """Show which generation serves, how the last cycle ended, and where a run stands.

    With `--watch` the run under way is followed, in whichever process it is: step, rate, time
    left, why it waits. Ctrl-C ends the watching, never the run. `--json` gives a line a change.

    Example: `desireline status`, `desireline status products --watch`

    Next: `desireline pause products`, `desireline cancel products`; `desireline generations
    products` for the history.
    """
    terminal = terminal_of(ctx)
    with opened(ctx, target) as (config, sidecar):
        names = [target] if target else list(config.targets)
        if watch:
            _watch(config, sidecar, _only(names), terminal)
        runs = {name: sidecar.run(name) for name in names}
        found = {
            name: {**sidecar.status(name), "run": {k: runs[name][k] for k in ("state", "sentence")}}
            for name in names
        }
    terminal.result({"targets": found})
    for name, body in found.items():
        _show(name, body, terminal)


def _only(names: Sequence[str]) -> str:
    if len(names) > 1:
        raise ConfigError(
            "--watch follows one target",
            next_step=f"name one of {', '.join(names)}",
        )
    return names[0]


def _watch(config: Config, sidecar: "Sidecar", target: str, terminal: Terminal) -> NoReturn:
    """Follow the run of a target and leave with what its end means."""
    following = Watch(
        terminal=terminal,
        look=lambda: sidecar.run(target),
        coverage=lambda number: _coverage(sidecar, target, number),
        patience_s=2 * config.target(target).swap.lease_ttl,
    )
    try:
        code = following.until_end()
    except KeyboardInterrupt:
        terminal.note("no longer watching; the run goes on")
        code = ExitCode.DONE
    raise typer.Exit(code)


def _coverage(sidecar: "Sidecar", target: str, number: int) -> str | None:
    found = next((g for g in sidecar.generations(target) if g["number"] == number), None)
    counted = found and found["coverage"]
    if not counted:
        return None
    return f"{counted['stamped']:,} of {counted['documents']:,} documents carry it"


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
