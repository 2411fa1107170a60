"""`desireline erase`: a person, or a query, leaves everything we hold."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from desireline.sidecar.cli.session import opened, terminal_of
from desireline.sidecar.cli.steering import who
from desireline.sidecar.errors import NothingNamedError

if TYPE_CHECKING:
    from desireline.sidecar.cli.terminal import Terminal
    from desireline.sidecar.erasing.erasure import ErasureReport, What

_FROM_INPUT = "-"


def erase(
    ctx: typer.Context,
    target: Annotated[
        str | None, typer.Argument(help="A target's name; without one, all of them.")
    ] = None,
    client_id: Annotated[
        str | None,
        typer.Option("--client-id", help='As your application logs it; "-" reads standard input.'),
    ] = None,
    query: Annotated[
        str | None, typer.Option("--query", help='The text typed; "-" reads standard input.')
    ] = None,
) -> None:
    """Erase a client or a query from everything kept, prove it, and name the models it taught.

    Pulled events, pairs, reports and judgments in the cluster are rewritten, then searched again;
    files that `desireline judgments export` wrote are named. What was erased is never pulled
    again: a client's events until now, a query for good. Where a model that learned from it
    serves, a cycle trains one without it. Your click log itself is not touched. Each data folder
    is erased from by itself: run it wherever a sidecar keeps one.

    Example: `desireline erase products --client-id 7f3c` or `desireline erase --query -`

    Next: erase it from your click log too; `desireline tune products` trains without it now.
    """
    what, named = _asked(client_id, query)
    terminal = terminal_of(ctx)
    with opened(ctx, target) as (config, sidecar):
        reports = [
            sidecar.erase(name, what, named, by=who())
            for name in ([target] if target else config.targets)
        ]
    terminal.result({"erased": [report.to_json() for report in reports]})
    for report in reports:
        _tell(terminal, report)


def _asked(client_id: str | None, query: str | None) -> tuple["What", str]:
    if (client_id is None) == (query is None):
        raise NothingNamedError(
            "erase takes one of --client-id and --query; nothing was erased",
            next_step="desireline erase --client-id ID",
        )
    named = client_id if query is None else query
    assert named is not None
    if named == _FROM_INPUT:
        named = sys.stdin.readline().rstrip("\n")
    return ("client" if query is None else "query"), named


def _tell(terminal: "Terminal", report: "ErasureReport") -> None:
    terminal.say(report.sentence)
    for place in report.places:
        terminal.say(f"  {place.place}: {place.found:,} found, {place.left:,} left")
    for fingerprint in report.models:
        terminal.say(f"  learned from it: {fingerprint}")
    for sentence in report.exports:
        terminal.say(f"  {sentence}")
    if report.retrain:
        terminal.say(f"  {report.retrain}")
