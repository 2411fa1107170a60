"""The ladder of modes as a table, and as a plot of gain against cost."""

from collections.abc import Sequence

from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.configuration.durations import format_duration
from desireline.sidecar.reports.cost_scale import CostScale
from desireline.sidecar.reports.cycle_report import Ladder, Rung
from desireline.trainer.measures.base import label_of

_COLUMNS, _ROWS = 60, 7
_LEFT = 9
#: Columns in which a rung is one line.
_WIDE = 110


def show_ladder(ladder: Ladder, terminal: Terminal) -> None:
    """Show every rung, cheapest first, and where each lies."""
    between = "\n" if terminal.columns < _WIDE else " "
    measure = label_of(ladder.measure)
    terminal.table(
        ["mode", f"gain in {measure}", "gate", "training", "embedding", "a query"],
        [_row(rung, between) for rung in ladder.rungs],
    )
    for rung in ladder.rungs:
        if rung.gain is None:
            terminal.say(f"{rung.mode} is left out: {rung.reason}")
    for line in plot(ladder.rungs):
        terminal.say(line)
    terminal.say(ladder.sentence)


def plot(rungs: Sequence[Rung]) -> list[str]:
    """Draw gain upwards and seconds to the right, by tens; nothing below two points.

    A rung is its first letter, in lower case where the gate refused it.
    """
    points = [
        (rung.cost_s, rung.gain.value, rung)
        for rung in rungs
        if rung.gain is not None and rung.cost_s is not None
    ]
    if len(points) < 2:  # noqa: PLR2004 - one point is no picture
        return []
    scale = CostScale.over(cost for cost, _, _ in points)
    low, high = (end(0.0, *(gain for _, gain, _ in points)) for end in (min, max))
    grid = [[" "] * _COLUMNS for _ in range(_ROWS)]
    grid[_line(0.0, low, high)] = ["\N{MIDDLE DOT}"] * _COLUMNS
    for cost, gain, rung in points:
        _put(grid[_line(gain, low, high)], _column(scale.place(cost)), _letter(rung))
    names = {_line(value, low, high): f"{value:+.3f}" for value in (high, low)}
    names[_line(0.0, low, high)] = "0"
    return [
        f"gain over what serves, and time until it would serve ({_legend(points)}):",
        *(
            f"{names.get(number, ''):>{_LEFT - 2}} |{''.join(row)}"
            for number, row in enumerate(grid)
        ),
        _marks(scale),
    ]


def _legend(points: Sequence[tuple[float, float, Rung]]) -> str:
    named = ", ".join(f"{_letter(rung)} {rung.mode}" for _, _, rung in points)
    return named + ("" if all(rung.promote for _, _, rung in points) else "; lower case: refused")


def _line(value: float, low: float, high: float) -> int:
    spread = (high - low) or 1.0
    return round((high - value) / spread * (_ROWS - 1))


def _put(row: list[str], at: int, letter: str) -> None:
    """Take the next free place to the right, so that no point hides another."""
    places = [*range(at, len(row)), *range(at, -1, -1)]
    free = next((place for place in places if not row[place].isalpha()), at)
    row[free] = letter


def _letter(rung: Rung) -> str:
    return rung.mode[0].upper() if rung.promote else rung.mode[0].lower()


def _column(place: float) -> int:
    return round(place * (_COLUMNS - 1))


def _marks(scale: CostScale) -> str:
    line = [" "] * (_COLUMNS + 12)
    for place, name in scale.marks():
        line[_column(place) : _column(place) + len(name)] = name
    return " " * _LEFT + "".join(line).rstrip()


def _row(rung: Rung, between: str) -> list[str]:
    if rung.gain is None:
        return [rung.mode, "", rung.verdict, "", "", ""]
    gain = rung.gain
    share = f" ({rung.share})" if rung.share else ""
    return [
        f"{rung.mode} *" if rung.kept else rung.mode,
        f"{gain.value:+.3f}{share}{between}[{gain.low:+.3f}, {gain.high:+.3f}]",
        rung.verdict,
        format_duration(rung.train_s or 0.0),
        _embedding(rung, between),
        f"{rung.query_ms or 0.0:.1f} ms",
    ]


def _embedding(rung: Rung, between: str) -> str:
    if not rung.embed_documents:
        return "none"
    return f"{format_duration(rung.embed_s or 0.0)}{between}({rung.embed_documents:,})"
