"""The table as a picture: nDCG of the recovered labels by size of the log, a chart a world."""

from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT, _GAP, _COLUMNS, _LEGEND = 260, 200, 50, 3, 190
_COLOURS = (
    "#1f6f54", "#c0392b", "#2d6cb5", "#8e44ad", "#d68910", "#148f77", "#7f8c8d", "#e377c2",
    "#17202a", "#a04000", "#5d6d7e", "#b7950b", "#27ae60", "#6c3483",
)  # fmt: skip

Lines = Mapping[str, Sequence[float]]
"""nDCG by size of the log, of each way to label."""


def draw(charts: Mapping[str, Lines], sizes: Sequence[int]) -> str:
    """Return an SVG; sizes stand at equal distances, and all charts share one scale."""
    names = list(next(iter(charts.values())))
    colour = {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}
    values = [value for lines in charts.values() for line in lines.values() for value in line]
    low, high = min(values), max(values)
    rows = -(-len(charts) // _COLUMNS)
    width = _COLUMNS * (_WIDTH + _GAP) + _GAP + _LEGEND
    height = max(rows * (_HEIGHT + 2 * _GAP), 40 + 18 * len(names))
    parts = [
        _chart(
            title,
            lines,
            sizes,
            (low, high),
            colour,
            _GAP + (number % _COLUMNS) * (_WIDTH + _GAP),
            _GAP + (number // _COLUMNS) * (_HEIGHT + 2 * _GAP),
        )
        for number, (title, lines) in enumerate(charts.items())
    ]
    legend = [
        _text(width - _LEGEND, _GAP + 18 * number, f"&#9632; {escape(name)}", colour[name])
        for number, name in enumerate(names)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" font-size="11">\n'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        f"{_text(_GAP, 18, 'nDCG@10 of the recovered labels, by events in the log', '#222')}\n"
        + "\n".join([*parts, *legend])
        + "\n</svg>\n"
    )


def _chart(
    title: str,
    lines: Lines,
    sizes: Sequence[int],
    scale: tuple[float, float],
    colour: Mapping[str, str],
    left: int,
    top: int,
) -> str:
    low, high = scale
    span, step = (high - low) or 1.0, _WIDTH / max(1, len(sizes) - 1)
    parts = [_text(left, top - 8, escape(title), "#222")]
    for share in (0.0, 0.5, 1.0):
        y = top + _HEIGHT * (1 - share)
        parts.append(f'<path d="M{left} {y:.0f}h{_WIDTH}" stroke="#ddd"/>')
        parts.append(_text(left - 28, y + 4, f"{low + share * span:.2f}", "#666"))
    for number, size in enumerate(sizes):
        parts.append(_text(left + number * step - 12, top + _HEIGHT + 16, _short(size), "#666"))
    for name, values in lines.items():
        points = " ".join(
            f"{left + number * step:.0f},{top + _HEIGHT * (1 - (value - low) / span):.1f}"
            for number, value in enumerate(values)
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour[name]}" stroke-width="1.5"/>'
        )
    return "\n".join(parts)


def _short(size: int) -> str:
    return f"{size // 1_000_000}M" if size >= 1_000_000 else f"{size // 1_000}k"


def _text(x: float, y: float, text: str, colour: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}">{text}</text>'
