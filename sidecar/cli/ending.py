"""How a cycle's report becomes the end of a command."""

from textwrap import wrap

import typer

from desireline.sidecar.cli.changes import show_changes
from desireline.sidecar.cli.exit_codes import ExitCode
from desireline.sidecar.cli.ladder import show_ladder
from desireline.sidecar.cli.parts import show_parts
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.reports.cycle_report import CycleReport, Interval, Outcome
from desireline.sidecar.reports.judged_parts import GENERAL
from desireline.trainer.measures.base import label_of

#: Columns that hold every ranker with its interval; where there are fewer, those of a name.
_WIDE, _NAME = 140, 19
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
    wide = terminal.columns >= _WIDE
    cell, between = (_cell, " ") if wide else (_value, "\n")
    over = f"{between}over base"
    rows = [
        [
            label_of(name) if wide else "\n".join(wrap(label_of(name), _NAME)),
            *(cell(row.get(name)) for row in report.measures.values()),
            _cell(report.gain.get(name), "+.3f") + (over if GENERAL in name else ""),
        ]
        for name in names
    ]
    terminal.table(["on held-out queries", *report.measures, "gain"], rows)
    if not wide:
        terminal.say(f"intervals of all: in a window of {_WIDE} columns, on the page, in --json")


def _value(found: Interval | None) -> str:
    return "" if found is None else f"{found.value:.3f}"


def _cell(found: Interval | None, form: str = ".3f") -> str:
    if found is None:
        return ""
    return f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"
