"""`desireline quantise`: serve an int8 form of the live encoder, if the gate agrees."""

from typing import Annotated

import typer

from desireline.sidecar.cli.arguments import TargetArgument
from desireline.sidecar.cli.ending import end_with
from desireline.sidecar.cli.session import opened, terminal_of


def quantise(
    ctx: typer.Context,
    target: TargetArgument,
    *,
    end_hold: Annotated[
        bool, typer.Option("--end-hold", help="Give up the way back that a hold still keeps.")
    ] = False,
) -> None:
    """Make the live encoder about twice as fast on a CPU, if its answers stay as good.

    Turns the encoder's weights into 8-bit integers. That changes about a tenth of the first ten
    answers, so the result is a candidate like any other: it is judged on held-out clicks, and only
    if it is not worse by more than `gate.cheaper_tolerance` the index is embedded again with it
    and swapped. Without enough clicks there is nothing to do.

    Example: `desireline quantise products`

    Next: `desireline status products`; to go back: `desireline revert products`.
    """
    terminal = terminal_of(ctx)
    with opened(ctx, target) as (_, sidecar):
        report = sidecar.quantise(target, terminal.reporter(), end_hold=end_hold)
    end_with(report, terminal)
