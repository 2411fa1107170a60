"""`desireline search`: ask the live generation one query."""

from dataclasses import asdict
from typing import Annotated

import typer

from desireline.connectors.search_engine import Hit
from desireline.sidecar.cli.arguments import TargetArgument
from desireline.sidecar.cli.session import opened, terminal_of


def search(
    ctx: typer.Context,
    target: TargetArgument,
    text: Annotated[str, typer.Argument(help="What a user would type.")],
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many answers.")] = 10,
) -> None:
    """Answer one query by the generation that serves now.

    Example: `desireline search products "red shoes" -k 5`

    Next: `desireline serve` answers your application the same way over HTTP.
    """
    terminal = terminal_of(ctx)
    with opened(ctx, target) as (config, sidecar):
        answered = sidecar.answer(target, text, k)
        fields = config.target(target).template.fields
    live, hits, meant = answered.live, answered.hits, answered.intent
    shown = [_body(position, hit) for position, hit in enumerate(hits, 1)]
    told = {} if meant is None else {"intent": {"use": answered.use, **asdict(meant.intent)}}
    terminal.result({"target": target, "generation": live.number, "hits": shown, **told})
    by_intent = "" if meant is None else f", intent: {answered.use}"
    terminal.say(f"generation {live.number}, {len(hits)} documents{by_intent}")
    terminal.table(
        ["position", "score", "document_id", fields[0]],
        [
            [position, f"{hit.score:.4f}", hit.document_id, hit.fields.get(fields[0])]
            for position, hit in enumerate(hits, 1)
        ],
    )


def _body(position: int, hit: Hit) -> dict[str, object]:
    return {
        "position": position,
        "document_id": hit.document_id,
        "score": hit.score,
        "fields": dict(hit.fields),
    }
