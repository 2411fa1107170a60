"""`desireline logs`: is the click log good enough to learn from."""

import typer

from desireline.sidecar.cli.arguments import TargetArgument
from desireline.sidecar.cli.log_health import show_health
from desireline.sidecar.cli.session import opened, terminal_of


def logs(ctx: typer.Context, target: TargetArgument) -> None:
    """Read the click log and say how good it is to learn from; what serves is unchanged.

    Tells the readiness tier, what each tier unlocks and what is missing for the next; counts
    events, queries and documents; draws click-through by position; names each defect, what it
    means and how to mend it. The report is kept for the page.

    Example: `desireline logs products`

    Next: `desireline tune products` when there is enough to learn from.
    """
    terminal = terminal_of(ctx)
    with opened(ctx, target) as (_, sidecar):
        report = sidecar.read_logs(target)
    terminal.result(report)
    if not terminal.as_json:
        show_health(report, terminal)
