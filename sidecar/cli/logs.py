"""`desireline logs`: is the click log good enough to learn from."""

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import typer

from desireline.sidecar.cli.arguments import TargetArgument
from desireline.sidecar.cli.session import opened, terminal_of

if TYPE_CHECKING:
    from desireline.trainer.health import LogHealth


def logs(ctx: typer.Context, target: TargetArgument) -> None:
    """Read the click log and say how good it is to learn from; changes nothing.

    Counts searches, clicks and days, names each defect with how many events have it, and says
    what would help most.

    Example: `desireline logs products`

    Next: `desireline tune products` when there is enough to learn from.
    """
    terminal = terminal_of(ctx)
    with opened(ctx, target) as (_, sidecar):
        health = sidecar.pull_logs(target)
    terminal.result({"target": target, **_body(health)})
    for line in _lines(health):
        terminal.say(line)


def _lines(health: "LogHealth") -> Iterator[str]:
    yield (
        f"{health.searches:,} searches ({health.searches_with_results:,} with what they showed),"
        f" {health.queries:,} queries, {health.clicks:,} clicks, {health.clients:,} clients,"
        f" {health.days:,} days"
    )
    yield f"tier {health.tier} of 4: {health.next_tier}"
    yield from (f"defect     {name}: {count:,}" for name, count in health.defects.items())
    yield from (f"left out   {name}: {count:,}" for name, count in health.bots.items())
    yield from (f"warning    {warning}" for warning in health.warnings)


def _body(health: "LogHealth") -> dict[str, Any]:
    values = {field.name: getattr(health, field.name) for field in fields(health)}
    return values | {"defects": dict(health.defects), "bots": dict(health.bots)}
