"""`desireline intent`: which category a query means."""

from typing import Annotated

import typer

from desireline.sidecar.cli.arguments import TargetArgument
from desireline.sidecar.cli.session import opened, terminal_of


def intent(
    ctx: typer.Context,
    target: TargetArgument,
    text: Annotated[str, typer.Argument(help="What a user would type.")],
) -> None:
    """Say which categories a query means, and how sure that is.

    A head that each cycle learns from clicks reads it from the query's vector, where the target
    names the field of its categories (`intent.category`). A sure answer names the fewest
    categories that are together right with `intent.min_confidence`; else the likeliest are shown.

    Example: `desireline intent products "red shoes"`

    Next: `use = "filter"` or `"boost"` in the target's `intent` lets searches make use of it.
    """
    from desireline.sidecar.serving.intent import intent_body  # noqa: PLC0415 - --help needs none

    terminal = terminal_of(ctx)
    with opened(ctx, target) as (_, sidecar):
        live = sidecar.live(target)
        served = sidecar.intents(target).require(live)
        (found,) = served.read(live.encoder.encode_queries([text]))
        terminal.result(intent_body(live, served, [found]))
    sure = "sure" if found.sure else "not sure, searches are not filtered"
    terminal.say(f"{sure}: together right with confidence {found.confidence:.2f}")
    rows = [[guess.category, f"{guess.confidence:.3f}"] for guess in found.guesses]
    terminal.table([served.manifest.field, "confidence"], rows)
