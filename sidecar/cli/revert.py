"""`desireline revert`: go back to the generation that served before."""

from typing import Annotated

import typer

from desireline.sidecar.cli.arguments import TargetArgument
from desireline.sidecar.cli.session import opened, terminal_of


def revert(
    ctx: typer.Context,
    target: TargetArgument,
    to: Annotated[
        int | None,
        typer.Option("--to", min=1, help="This generation [the one that served before]."),
    ] = None,
) -> None:
    """Go back to the generation that served before; one write, no search fails.

    Possible until the next generation takes the former one's slot; while the hold lasts that
    generation is also kept fresh, so documents written since the swap are found. Safe to repeat:
    said twice, it is done once. To go forward again, name the generation.

    Example: `desireline revert products` or `desireline revert products --to 7`

    Next: `desireline generations products` shows which one serves.
    """
    terminal = terminal_of(ctx)
    with opened(ctx, target) as (_, sidecar):
        sentence = sidecar.revert(target, to)
    terminal.result({"target": target, "sentence": sentence})
    terminal.say(sentence)
