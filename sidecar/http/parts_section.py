"""Where a candidate gained and lost: each part that the gate looked at, with its interval drawn."""

from collections.abc import Mapping
from typing import Any

from desireline.sidecar.http.markup import Markup, element
from desireline.sidecar.http.page_parts import table
from desireline.sidecar.reports.judged_parts import GainScale, in_groups
from desireline.trainer.measures.base import label_of

_WIDTH, _HEIGHT = 220, 18

Part = Mapping[str, Any]


def parts_section(report: Mapping[str, Any]) -> Markup | None:
    """Return the table of parts; None where nothing was judged."""
    parts: Mapping[str, Part] = report.get("parts") or {}
    if not parts:
        return None
    scale = GainScale.over(
        [part["gain"][end] for part in parts.values() for end in ("low", "high")]
    )
    rows = []
    for group in in_groups(parts):
        heading = element("th", group.title, colspan="6", scope="colgroup", class_="group")
        rows.append(element("tr", heading))
        rows += [_row(name, part, scale) for name, part in group.parts]
    titles = ["Queries", "", "Before", "After", "Gain", "Interval, and where 0 lies"]
    measure = next(iter(parts.values()))["measure"]
    return element(
        "section",
        element("h2", "By part"),
        element("p", f"{label_of(measure)} on the parts that the gate looks at.", class_="quiet"),
        table(titles, rows, class_="parts"),
    )


def _row(name: str, part: Part, scale: GainScale) -> Markup:
    gain = part["gain"]
    direction = "up" if gain["low"] > 0 else "down" if gain["high"] < 0 else "open"
    value = element("span", f"{gain['value']:+.3f}", class_=f"gain {direction}")
    return element(
        "tr",
        element("th", name, scope="row"),
        element("td", f"{part['queries']:,}", class_="number quiet"),
        element("td", f"{part['before']:.3f}", class_="number"),
        element("td", f"{part['after']:.3f}", class_="number"),
        element("td", value, class_="number"),
        element("td", _drawn(name, gain, direction, scale)),
    )


def _drawn(name: str, gain: Mapping[str, float], direction: str, scale: GainScale) -> Markup:
    low, at, high, zero = (
        round(scale.place(value) * (_WIDTH - 10) + 5, 1)
        for value in (gain["low"], gain["value"], gain["high"], 0.0)
    )
    middle = _HEIGHT / 2
    within = f"[{gain['low']:+.3f}, {gain['high']:+.3f}]"
    return element(
        "svg",
        element("title", within),
        element("line", x1=zero, x2=zero, y1=0, y2=_HEIGHT, class_="zero"),
        element("line", x1=low, x2=high, y1=middle, y2=middle, class_="whisker"),
        element("circle", cx=at, cy=middle, r=4),
        class_=f"interval-bar {direction}",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        width=_WIDTH,
        height=_HEIGHT,
        role="img",
        aria_label=f"{name}: {gain['value']:+.3f} {within}",
    )
