"""The ladder of modes: every rung with what it gained and what it costs, and a plot of both."""

from collections.abc import Mapping, Sequence
from typing import Any

from desireline.sidecar.cost_scale import CostScale
from desireline.sidecar.durations import format_duration
from desireline.sidecar.http.markup import Child, Markup, element
from desireline.sidecar.http.page_parts import NOTHING, table

_WIDTH, _HEIGHT = 640, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 96, 16, 30
#: Two labels nearer than this lie on each other.
_LINE = 14

Rung = Mapping[str, Any]


def ladder_section(report: Mapping[str, Any]) -> Markup | None:
    """Return the rungs of a cycle, and the plot; None where one mode alone was tried."""
    ladder = report.get("ladder")
    if not ladder:
        return None
    rungs = ladder["rungs"]
    titles = ["Mode", "Gate", f"Gain in {ladder['measure']}", "Training", "Embedding", "A query"]
    return element(
        "section",
        element("h2", "Modes tried"),
        element("p", str(ladder["sentence"]), class_="reason spaced"),
        table(titles, [_row(rung) for rung in rungs], class_="modes"),
        _picture([rung for rung in rungs if rung.get("gain")]),
    )


def _row(rung: Rung) -> Markup:
    name = element("th", rung["mode"], scope="row")
    if not rung.get("gain"):
        why = element("td", ["left out: ", rung["reason"]], colspan="5", class_="quiet")
        return element("tr", name, why)
    documents = rung["embed_documents"]
    embedding: Child = (
        "none" if not documents else f"{documents:,} documents, {_time(rung['embed_s'])}"
    )
    cells: list[Child] = [
        element("span", _state(rung), class_=f"state {_colour(rung)}", title=rung["reason"]),
        _gain(rung),
        _time(rung["train_s"]),
        embedding,
        f"{rung['query_ms']:.1f} ms",
    ]
    numbers = [element("td", cell, class_="number") for cell in cells[1:]]
    return element("tr", name, element("td", cells[0]), numbers)


def _gain(rung: Rung) -> list[Child]:
    gain = rung["gain"]
    share = f" ({rung['relative']:+.1%})" if rung.get("relative") is not None else ""
    within = f"[{gain['low']:+.3f}, {gain['high']:+.3f}]"
    return [f"{gain['value']:+.3f}{share}", element("span", within, class_="interval")]


def _state(rung: Rung) -> str:
    return "kept" if rung["kept"] else "would pass" if rung["promote"] else "refused"


def _colour(rung: Rung) -> str:
    return "live" if rung["kept"] else "ready" if rung["promote"] else "failed"


def _time(seconds: float | None) -> str:
    return NOTHING if seconds is None else format_duration(seconds)


def _picture(rungs: Sequence[Rung]) -> Markup | None:
    if len(rungs) < 2:  # noqa: PLR2004 - one point is no picture
        return None
    scale = CostScale.over(_cost(rung) for rung in rungs)
    low = min(0.0, *(rung["gain"]["low"] for rung in rungs))
    high = max(0.0, *(rung["gain"]["high"] for rung in rungs))
    told = ", ".join(
        f"{rung['mode']} {rung['gain']['value']:+.3f} after {_time(_cost(rung))}" for rung in rungs
    )
    drawing = element(
        "svg",
        [_level(value, low, high) for value in _levels(low, high)],
        [_mark(place, name) for place, name in scale.marks()],
        # Lines first, so that none crosses a name.
        [_whisker(rung, scale, low, high) for rung in rungs],
        [_point(rung, scale, low, high) for rung in rungs],
        class_="through modes-plot",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        width=_WIDTH,
        height=_HEIGHT,
        role="img",
        aria_label=f"Gain against time until it would serve: {told}",
    )
    caption = "Gain over what serves, with its interval, against the time until it would serve."
    return element("div", drawing, element("p", element("small", caption)), class_="wide")


def _cost(rung: Rung) -> float:
    return float(rung["train_s"] or 0.0) + float(rung["embed_s"] or 0.0)


def _levels(low: float, high: float) -> list[float]:
    """Return zero, and the ends that do not lie on it."""
    ground = _upwards(0.0, low, high)
    return [0.0, *(end for end in (low, high) if abs(_upwards(end, low, high) - ground) > _LINE)]


def _level(value: float, low: float, high: float) -> Markup:
    at = _upwards(value, low, high)
    label = "0" if value == 0 else f"{value:+.3f}"
    line = element(
        "line",
        x1=_LEFT,
        x2=_WIDTH - _RIGHT,
        y1=at,
        y2=at,
        class_="grid zero" if value == 0 else "grid",
    )
    return Markup(line + element("text", label, x=_LEFT - 8, y=at + 4, class_="scale"))


def _mark(place: float, name: str) -> Markup:
    return element("text", name, x=_rightwards(place), y=_HEIGHT - 8, class_="place")


def _whisker(rung: Rung, scale: CostScale, low: float, high: float) -> Markup:
    at = _rightwards(scale.place(_cost(rung)))
    bottom, top = (_upwards(rung["gain"][each], low, high) for each in ("low", "high"))
    line = element("line", x1=at, x2=at, y1=bottom, y2=top, class_="whisker")
    return element("g", line, class_=_colour(rung))


def _point(rung: Rung, scale: CostScale, low: float, high: float) -> Markup:
    at = _rightwards(scale.place(_cost(rung)))
    middle = _upwards(rung["gain"]["value"], low, high)
    return element(
        "g",
        element("title", f"{rung['mode']}: {_state(rung)}"),
        element("circle", cx=at, cy=middle, r=5),
        element("text", rung["mode"], x=at + 9, y=middle + 4),
        class_=_colour(rung),
    )


def _rightwards(place: float) -> float:
    return round(_LEFT + 8 + place * (_WIDTH - _LEFT - _RIGHT - 8), 1)


def _upwards(value: float, low: float, high: float) -> float:
    ground = _HEIGHT - _BOTTOM
    return round(ground - (value - low) / ((high - low) or 1.0) * (ground - _TOP), 1)
