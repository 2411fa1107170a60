"""`desireline mine`: which pairs would be learned from, and where they come from."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from desireline.sidecar.cli.arguments import TargetArgument
from desireline.sidecar.cli.session import opened, terminal_of
from desireline.sidecar.cli.terminal import Terminal


def mine(
    ctx: typer.Context,
    target: TargetArgument,
    explain: Annotated[
        str | None,
        typer.Option(metavar="QUERY", help="Show the pairs of one query: from where, and why."),
    ] = None,
) -> None:
    """Show which pairs the next cycle would learn from; nothing is trained or changed.

    Counts what each miner finds in the click log and the documents, and how far it is believed.
    With --explain, names the pairs of one query: which miners found each, why, with which
    negatives. What too few clients stand behind is never named, only counted.

    Example: `desireline mine products --explain "red shoes"`

    Next: `desireline tune products`.
    """
    terminal = terminal_of(ctx)
    with opened(ctx, target) as (_, sidecar):
        report = sidecar.mine(target, explain)
    terminal.result(report)
    _show(report, terminal)


def _show(report: Mapping[str, Any], terminal: Terminal) -> None:
    """Tell a person the whole report."""
    terminal.say(
        f"{report['target']}: {report['pairs']:,} pairs for {report['queries']:,} queries,"
        f" from {report['judged']:,} judged",
        style="bold",
    )
    if report["left_out"]:
        terminal.say(f"{report['left_out']:,} more are left out: too few clients stand behind them")
    terminal.table(
        ("miner", "", "found", "kept", "believed"),
        [
            (
                each["miner"],
                "on" if each["on"] else "off",
                f"{each['found']:,}" if each["on"] else "",
                f"{each['kept']:,}" if each["on"] else "",
                "" if each["accuracy"] is None else f"{each['accuracy']:.0%}",
            )
            for each in report["miners"]
        ],
    )
    if report["explanation"] is not None:
        _show_query(report["explanation"], terminal)


def _show_query(explanation: Mapping[str, Any], terminal: Terminal) -> None:
    terminal.say("")
    terminal.say(f"{explanation['query']}: {explanation['sentence']}", style="bold")
    for pair in explanation["pairs"]:
        terminal.say(f"  {pair['document_id']}  {pair['title']}  (weight {pair['weight']:.2f})")
        for found in pair["found_by"]:
            terminal.say(f"    {found['miner']}: {found['why']}")
        for negative in pair["negatives"]:
            terminal.say(f"    not {negative['document_id']}  {negative['title']}")
