"""`desireline tune`: turn the wheel once."""

from typing import Annotated

import typer

from desireline.sidecar.cli.arguments import TargetArgument
from desireline.sidecar.cli.ending import end_with
from desireline.sidecar.cli.session import opened, terminal_of
from desireline.sidecar.configuration.tune import WantedMode


def tune(
    ctx: typer.Context,
    target: TargetArgument,
    *,
    mode: Annotated[
        WantedMode | None,
        typer.Option(help="How to train this once [tune.mode of the target]."),
    ] = None,
) -> None:
    """Learn from the clicks once and put the result live if it is proved better.

    Reads the target's click log, trains a candidate, judges it on held-out queries, and only if
    the gate promotes it embeds the index again and swaps. "Nothing to do" and "kept incumbent"
    are normal ends: the last line says why and nothing has changed. A cycle that was killed goes
    on where it stopped when you run it again.

    Example: `desireline tune products`, `desireline tune products --mode full`

    Next: `desireline status products`; to go back: `desireline revert products`.
    """
    terminal = terminal_of(ctx)
    with opened(ctx, target) as (_, sidecar):
        report = sidecar.tune(target, terminal.reporter(), mode=mode)
    end_with(report, terminal)
