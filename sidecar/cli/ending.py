"""How a cycle's report becomes the end of a command."""

import typer

from desireline.sidecar.cli.changes import show_changes
from desireline.sidecar.cli.exit_codes import ExitCode
from desireline.sidecar.cli.ladder import show_ladder
from desireline.sidecar.cli.parts import show_parts
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.cycle_report import CycleReport, Interval, Outcome

_FAILED = (Outcome.FAILED, Outcome.INTERRUPTED)


def end_with(report: CycleReport, terminal: Terminal) -> None:
    """Show the table and leave with the code the outcome deserves."""
    terminal.result(report.to_json())
    _show_measures(report, terminal)
    if report.clicks is not None:
        terminal.say(f"by the log alone: {report.clicks.sentence}")
    show_parts(report.parts, terminal)
    if report.ladder is not None:
        show_ladder(report.ladder, terminal)
    if report.changes is not None:
        show_changes(report.changes, terminal)
    terminal.say(report.sentence, style="bold")
    if report.outcome in _FAILED:
        raise typer.Exit(ExitCode.FAILED)


def _show_measures(report: CycleReport, terminal: Terminal) -> None:
    if not report.measures:
        return
    names = list(dict.fromkeys(name for row in report.measures.values() for name in row))
    rows = [
        [
            name,
            *(_cell(row.get(name)) for row in report.measures.values()),
            _cell(report.gain.get(name), "+.3f"),
        ]
        for name in names
    ]
    terminal.table(["on held-out queries", *report.measures, "gain"], rows)


def _cell(found: Interval | None, form: str = ".3f") -> str:
    if found is None:
        return ""
    return f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"
