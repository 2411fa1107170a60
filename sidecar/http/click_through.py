"""Click-through by position as columns: how users look at a page of answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from desireline.sidecar.http.markup import Markup, element, render
from desireline.sidecar.reports.log_words import ENOUGH_IMPRESSIONS, enough, share

_WIDTH = 640
_HEIGHT = 200
_LEFT = 44
_BOTTOM = 26
_TOP = 14
_SLOT = 28
_LINES = 4
#: Round steps of the scale, in per cent.
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 25)


def click_through(places: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Return one column a position, as high as its click-through; None without positions.

    Positions with too few impressions are drawn faint: their height is no measure.
    """
    if not places:
        return None
    step, top = _scale(places)
    told = ", ".join(
        f"position {place['position']} {share(place['clicks'], place['impressions'])}"
        for place in places
    )
    picture = element(
        "svg",
        [_line(number * step, top) for number in range(round(top / step) + 1)],
        [_column(place, top) for place in places],
        class_="through",
        viewBox=f"0 0 {_width(places)} {_HEIGHT}",
        width=_width(places),
        height=_HEIGHT,
        role="img",
        aria_label=f"Click-through by position: {told}",
    )
    faint = not all(map(enough, places))
    note = f"Faint: fewer than {ENOUGH_IMPRESSIONS} impressions, no measure yet."
    return render(
        [
            element(
                "div",
                picture,
                class_="wide",
                tabindex="0",
                role="region",
                aria_label="click-through by position",
            ),
            element("p", element("small", note)) if faint else None,
        ]
    )


def _scale(places: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Return the step between lines and the top of the scale, in per cent."""
    solid = [place for place in places if enough(place)] or places
    highest = 100 * max(_through(place) for place in solid)
    step = next((step for step in _STEPS if step * _LINES >= highest), _STEPS[-1])
    lines = max(1, -int(-highest // step))
    return step, step * lines


def _line(percent: float, top: float) -> Markup:
    at = _height(percent, top)
    label = element("text", f"{percent:g}%", x=_LEFT - 8, y=at + 4, class_="scale")
    return render(
        [element("line", x1=_LEFT, x2="100%", y1=at, y2=at, class_="grid"), label],
    )


def _column(place: Mapping[str, Any], top: float) -> Markup:
    left = _LEFT + 4 + (place["position"] - 1) * _SLOT
    percent = min(100 * _through(place), top)
    at = _height(percent, top)
    counted = f"{place['clicks']:,} of {place['impressions']:,}"
    title = element(
        "title",
        f"Position {place['position']}: {share(place['clicks'], place['impressions'])} ({counted})",
    )
    ground = _HEIGHT - _BOTTOM
    return element(
        "g",
        title,
        element("rect", class_="hover", x=left, y=_TOP, width=_SLOT, height=ground - _TOP),
        element(
            "rect",
            class_="column" if enough(place) else "column faint",
            x=left + 3,
            y=at,
            width=_SLOT - 6,
            height=round(ground - at, 1),
        ),
        element("text", place["position"], x=left + _SLOT / 2, y=_HEIGHT - 8, class_="place"),
    )


def _height(percent: float, top: float) -> float:
    ground = _HEIGHT - _BOTTOM
    return round(ground - (ground - _TOP) * percent / top, 1)


def _through(place: Mapping[str, Any]) -> float:
    return place["clicks"] / place["impressions"] if place["impressions"] else 0.0


def _width(places: Sequence[Mapping[str, Any]]) -> int:
    return max(_LEFT + 8 + len(places) * _SLOT, _WIDTH // 2)
