"""The gate's measure by part of the queries, each with its interval drawn."""

from collections.abc import Mapping
from textwrap import wrap

from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.reports.cycle_report import Interval, JudgedPart
from desireline.sidecar.reports.judged_parts import GainScale, in_groups
from desireline.trainer.measures.base import label_of

_WIDTH = 31
#: Columns below which a drawing says nothing.
_LEAST = 11
#: Columns for a name, and for the figures beside it; what is left is drawn on.
_NAME, _FIGURES = 31, 51


def show_parts(parts: Mapping[str, JudgedPart], terminal: Terminal) -> None:
    """Show every part that was judged, by kind."""
    if not parts:
        return
    scale = GainScale.over([end for p in parts.values() for end in (p.gain.low, p.gain.high)])
    room = min(_WIDTH, terminal.columns - _NAME - _FIGURES)
    rows: list[list[str]] = []
    for group in in_groups(parts):
        rows.append(["\n".join(wrap(group.title, _NAME)), "", "", "", "", ""])
        rows += [_row(name, part, scale, room) for name, part in group.parts]
    measure = label_of(next(iter(parts.values())).measure)
    titles = [f"{measure} by part", "queries", "before", "after", "gain", "| is 0"]
    if room < _LEAST:
        titles, rows = titles[:-1], [row[:-1] for row in rows]
    terminal.table(titles, rows)


def drawn(gain: Interval, scale: GainScale, width: int = _WIDTH) -> str:
    """Draw an interval: a line from its lower to its upper bound, o where the gain is, | at 0."""
    low, at, high, zero = (
        round(scale.place(value) * (width - 1)) for value in (gain.low, gain.value, gain.high, 0.0)
    )
    cells = [" "] * width
    cells[low : high + 1] = "-" * (high + 1 - low)
    cells[zero] = "|"
    cells[at] = "o"
    return "".join(cells).rstrip()


def _row(name: str, part: JudgedPart, scale: GainScale, room: int) -> list[str]:
    gain = part.gain
    return [
        f"  {name}",
        f"{part.queries:,}",
        f"{part.before:.3f}",
        f"{part.after:.3f}",
        f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]",
        drawn(gain, scale, max(room, _LEAST)),
    ]
