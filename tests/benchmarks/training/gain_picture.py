"""What each way gains, and what it costs: one small chart a set and kind of pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

_WIDTH, _HEIGHT, _GAP, _COLUMNS = 270, 150, 56, 3
_COLOURS = (
    *("#1f6f54", "#c0392b", "#7d5ba6", "#2471a3", "#b9770e"),
    *("#17202a", "#5dade2", "#58b368", "#d35ca3", "#7f8c8d"),
)
#: Names in a row of the legend, and the height of a row.
_NAMES, _LINE = 5, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One way in one chart, its gain with bounds."""

    chart: str
    name: str
    cpu_s: float
    gain: float
    low: float
    high: float


def draw(points: Sequence[Point]) -> str:
    """Return an SVG: processor seconds to the right (logarithmic), gain in mRR@20 upwards."""
    charts = list(dict.fromkeys(point.chart for point in points))
    names = list(dict.fromkeys(point.name for point in points))
    rows = max(1, -(-len(charts) // _COLUMNS))
    width = _COLUMNS * (_WIDTH + _GAP) + _GAP
    above = 20 + _LINE * -(-len(names) // _NAMES)
    height = rows * (_HEIGHT + 2 * _GAP) + above
    legend = [_named(number, name, names) for number, name in enumerate(names)]
    drawn = [
        _chart(
            [point for point in points if point.chart == chart],
            names,
            _GAP + (number % _COLUMNS) * (_WIDTH + _GAP),
            above + _GAP + (number // _COLUMNS) * (_HEIGHT + 2 * _GAP),
        )
        for number, chart in enumerate(charts)
    ]
    title = "gain in mRR@20 over the base, by processor seconds of training"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" font-size="11">\n'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        f"{_text(_GAP, 18, title, '#222')}\n" + "\n".join([*legend, *drawn]) + "\n</svg>\n"
    )


def _chart(points: Sequence[Point], names: Sequence[str], left: int, top: int) -> str:
    first = floor(log10(min(point.cpu_s for point in points)))
    decades = max(1, floor(log10(max(point.cpu_s for point in points))) + 1 - first)
    most = max(0.02, *(point.high for point in points))
    least = min(0.0, *(point.low for point in points))

    def y(gain: float) -> float:
        return top + _HEIGHT * (most - gain) / (most - least)

    parts = [_text(left, top - 10, escape(points[0].chart), "#222")]
    for gain in (least, 0.0, most) if least < 0 else (0.0, most / 2, most):
        parts.append(f'<path d="M{left} {y(gain):.1f}h{_WIDTH}" stroke="#ddd"/>')
        parts.append(_text(left - 40, y(gain) + 4, f"{gain:+.3f}", "#666"))
    for decade in range(decades + 1):
        x = left + _WIDTH * decade / decades
        parts.append(_text(x - 8, top + _HEIGHT + 16, f"{10.0 ** (first + decade):g} s", "#666"))
    for point in points:
        x = left + _WIDTH * (log10(point.cpu_s) - first) / decades
        colour = _colour(names, point.name)
        bar = f"M{x:.1f} {y(point.low):.1f}V{y(point.high):.1f}"
        parts.append(f'<path d="{bar}" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y(point.gain):.1f}" r="4" fill="{colour}"/>')
    return "\n".join(parts)


def _named(number: int, name: str, names: Sequence[str]) -> str:
    """Draw a point and its name where the legend has its place."""
    row, column = divmod(number, _NAMES)
    x, y = _GAP + 185 * column, 38 + _LINE * row
    circle = f'<circle cx="{x + 4}" cy="{y - 4}" r="4" fill="{_colour(names, name)}"/>'
    return circle + _text(x + 12, y, escape(name), "#222")


def _colour(names: Sequence[str], name: str) -> str:
    return _COLOURS[list(names).index(name) % len(_COLOURS)]


def _text(x: float, y: float, text: str, colour: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}">{text}</text>'
