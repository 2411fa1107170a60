"""How a cycle's report becomes the end of a command."""

import typer

from desireline.sidecar.cli.exit_codes import ExitCode
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.cycle_report import CycleReport, Outcome

_FAILED = (Outcome.FAILED, Outcome.INTERRUPTED)


def end_with(report: CycleReport, terminal: Terminal) -> None:
    """Show the table and leave with the code the outcome deserves."""
    terminal.result(report.to_json())
    _show_measures(report, terminal)
    terminal.say(report.sentence, style="bold")
    if report.outcome in _FAILED:
        raise typer.Exit(ExitCode.FAILED)


def _show_measures(report: CycleReport, terminal: Terminal) -> None:
    if not report.measures:
        return
    names = list(next(iter(report.measures.values())))
    rows = [
        [ranker, *(_cell(row[name].value, row[name].low, row[name].high) for name in names)]
        for ranker, row in report.measures.items()
    ]
    terminal.table(["on held-out clicks", *names], rows)


def _cell(value: float, low: float, high: float) -> str:
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
