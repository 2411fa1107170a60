"""`desireline revert`: go back to the generation that served before."""

import typer

from desireline.sidecar.cli.arguments import TargetArgument
from desireline.sidecar.cli.session import opened, terminal_of


def revert(ctx: typer.Context, target: TargetArgument) -> None:
    """Go back to the generation that served before; one write, no search fails.

    Possible until the next generation takes the former one's slot; while the hold lasts that
    generation is also kept fresh, so documents written since the swap are found.

    Example: `desireline revert products`

    Next: `desireline generations products` shows which one serves.
    """
    terminal = terminal_of(ctx)
    with opened(ctx, target) as (_, sidecar):
        sentence = sidecar.revert(target)
    terminal.result({"target": target, "sentence": sentence})
    terminal.say(sentence)
