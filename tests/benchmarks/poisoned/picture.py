"""The table as a picture: how many targets reach the top ten, one small chart an attack."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT, _GAP, _COLUMNS = 230, 130, 50, 3
_TITLE = "targets in the top ten, by the attackers&#8217; share of clients"
_OPEN, _DEFENDED = "#c0392b", "#1f6f54"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One attack: shares of clients, and shares of targets in the top ten."""

    name: str
    shares: Sequence[float]
    open: Sequence[float]
    defended: Sequence[float]


def draw(lines: Sequence[Line]) -> str:
    """Return an SVG; shares of clients stand at equal distances."""
    rows = -(-len(lines) // _COLUMNS)
    width = _COLUMNS * (_WIDTH + _GAP) + _GAP
    height = rows * (_HEIGHT + 2 * _GAP)
    charts = [
        _chart(
            line,
            _GAP + (n % _COLUMNS) * (_WIDTH + _GAP),
            _GAP + (n // _COLUMNS) * (_HEIGHT + 2 * _GAP),
        )
        for n, line in enumerate(lines)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" font-size="11">\n'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        f"{_text(_GAP, 18, _TITLE, '#222')}\n"
        f"{_text(width - 190, 18, 'without defences', _OPEN)}\n"
        f"{_text(width - 90, 18, 'with defences', _DEFENDED)}\n" + "\n".join(charts) + "\n</svg>\n"
    )


def _chart(line: Line, left: int, top: int) -> str:
    step = _WIDTH / max(1, len(line.shares) - 1)
    parts = [_text(left, top - 8, escape(line.name), "#222")]
    for share in (0.0, 0.5, 1.0):
        y = top + _HEIGHT * (1 - share)
        parts.append(f'<path d="M{left} {y:.0f}h{_WIDTH}" stroke="#ddd"/>')
        parts.append(_text(left - 30, y + 4, f"{share:.0%}", "#666"))
    for number, share in enumerate(line.shares):
        parts.append(_text(left + number * step - 10, top + _HEIGHT + 16, f"{share:.1%}", "#666"))
    for values, colour in ((line.open, _OPEN), (line.defended, _DEFENDED)):
        points = " ".join(
            f"{left + number * step:.0f},{top + _HEIGHT * (1 - value):.1f}"
            for number, value in enumerate(values)
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
    return "\n".join(parts)


def _text(x: float, y: float, text: str, colour: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}">{text}</text>'
