"""`desireline doctor`: is everything in place."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from desireline.sidecar.cli.exit_codes import ExitCode
from desireline.sidecar.cli.session import globals_of, terminal_of
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.config import load_config

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from desireline.sidecar.doctor import Check

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    ctx: typer.Context,
    target: Annotated[str | None, typer.Argument(help="A target's name [all].")] = None,
) -> None:
    """Check everything desireline needs, in order, and say what to do about what is missing.

    Looks at the configuration, this installation, the disk, the cluster and its plugins, and for
    each target at its index, fields, slots, model, click log and live generation. Changes nothing.

    Example: `desireline doctor` or `desireline doctor products`

    Next: what the lines say; then `desireline logs TARGET` and `desireline tune TARGET`.
    """
    terminal = terminal_of(ctx)
    config = load_config(globals_of(ctx).config)
    names = list(config.targets)
    if target is not None:
        config.target(target)
        names = [target]
    from desireline.sidecar.doctor import Check, State, examine  # noqa: PLC0415 - --help stays quick

    opening = Check(
        name="configuration",
        state=State.OK,
        sentence=f"{globals_of(ctx).config} is right; targets: {', '.join(config.targets)}",
    )
    checks = list(_shown([opening], terminal))
    checks += _shown(examine(config, names), terminal)
    counts = {state.value: sum(check.state is state for check in checks) for state in State}
    terminal.result({"checks": [asdict(check) for check in checks], "counts": counts})
    terminal.say(f"{counts['ok']} ok, {counts['warn']} warnings, {counts['fail']} failed")
    if counts["fail"]:
        raise typer.Exit(ExitCode.FAILED)


def _shown(checks: "Iterable[Check]", terminal: Terminal) -> "Iterator[Check]":
    """Show each check as soon as it is known."""
    for check in checks:
        terminal.say(f"{check.state:<5} {check.name}: {check.sentence}", style=_STYLES[check.state])
        if check.next_step:
            terminal.say(f"      next: {check.next_step}")
        yield check
