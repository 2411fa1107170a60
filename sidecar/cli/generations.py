"""`desireline generations`: every generation of a target."""

from collections.abc import Mapping
from typing import Any

import typer

from desireline.sidecar.cli.arguments import TargetArgument
from desireline.sidecar.cli.session import opened, terminal_of


def generations(ctx: typer.Context, target: TargetArgument) -> None:
    """List the generations of a target, newest first: which serves, which can come back.

    Example: `desireline generations products`

    Next: `desireline revert products` goes back to the one that is retained.
    """
    terminal = terminal_of(ctx)
    with opened(ctx, target) as (_, sidecar):
        found = sidecar.generations(target)
    terminal.result({"target": target, "generations": found})
    if not found:
        terminal.say(f"no generation yet; `desireline reindex {target}` builds the first")
    else:
        columns = ["number", "state", "slot", "encoder", "documents", "created", "why"]
        terminal.table(columns, [_row(generation) for generation in found])


def _row(generation: Mapping[str, Any]) -> list[object]:
    coverage = generation.get("coverage")
    counted = f"{coverage['stamped']:,} of {coverage['documents']:,}" if coverage else ""
    return [
        generation["number"],
        generation["state"],
        _place(generation),
        str(generation["fingerprint"])[:12],
        counted,
        str(generation["created_at"])[:16].replace("T", " "),
        generation.get("reason") or "",
    ]


def _place(generation: Mapping[str, Any]) -> str:
    """Say in which slot its vectors are, and whose they are where they are not its own."""
    borrowed = generation.get("vectors_of")
    return f"{generation['slot']} (of {borrowed})" if borrowed else str(generation["slot"])
