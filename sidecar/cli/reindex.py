"""`desireline reindex`: embed every document again while the index stays live."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from desireline.sidecar.cli.arguments import TargetArgument
from desireline.sidecar.cli.ending import end_with
from desireline.sidecar.cli.exit_codes import ExitCode
from desireline.sidecar.cli.session import opened, terminal_of
from desireline.sidecar.cli.terminal import Terminal

if TYPE_CHECKING:
    from desireline.sidecar.on_request.plan import ReindexPlan


class WayOption(StrEnum):
    """The ways to embed an index again."""

    AUTO = "auto"
    SLOT = "slot"
    INDEX = "index"
    QUERY = "query"


def reindex(
    ctx: typer.Context,
    target: TargetArgument,
    *,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Encoder: a Hugging Face id or folder [live one]."),
    ] = None,
    way: Annotated[
        WayOption,
        typer.Option("--way", help="Slots in place, a new index, the query encoder alone."),
    ] = WayOption.AUTO,
    plan: Annotated[bool, typer.Option("--plan", help="Show the plan and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    end_hold: Annotated[
        bool, typer.Option("--end-hold", help="Give up the way back that a hold still keeps.")
    ] = False,
) -> None:
    """Embed every document again, by another model if you name one, and put it live.

    Searches and writes go on meanwhile. Shows the plan first: what is written, how much, and why
    it may be refused. Nothing changes before you agree. Killed half-way, it goes on where it
    stopped when you run it again. A model that encodes queries alone embeds no document again.

    Example: `desireline reindex products --model intfloat/e5-small-v2 --plan`

    Next: the same with `--yes`; to go back: `desireline revert products`.
    """
    terminal = terminal_of(ctx)
    with opened(ctx, target) as (_, sidecar):
        drafted = sidecar.plan(target, model, way=way.value, end_hold=end_hold)
        _show(drafted, terminal)
        if plan or drafted.refusals:
            terminal.result({"plan": drafted.to_json()})
            raise typer.Exit(ExitCode.REFUSED if drafted.refusals else ExitCode.DONE)
        if not (yes or _agreed(terminal)):
            terminal.result({"plan": drafted.to_json(), "done": False})
            terminal.note("nothing was changed; add --yes to go ahead")
            raise typer.Exit(ExitCode.REFUSED)
        report = sidecar.reindex(
            target, model, terminal.reporter(), way=way.value, end_hold=end_hold
        )
    end_with(report, terminal)


def _show(plan: "ReindexPlan", terminal: Terminal) -> None:
    for line in plan.lines():
        terminal.say(line)
    for refusal in plan.refusals:
        terminal.note(f"refused: {refusal}", style="red")


def _agreed(terminal: Terminal) -> bool:
    """Ask, where somebody can answer."""
    if terminal.as_json or not terminal.interactive:
        return False
    return typer.confirm("Go ahead?", default=False, err=True)
