"""Gain against cost: one picture of the time until a mode would serve, one of a query's time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from desireline.sidecar.configuration.durations import format_duration
from desireline.sidecar.http.markup import Markup, element
from desireline.sidecar.reports.cost_scale import CostScale
from desireline.sidecar.reports.cycle_report import Rung

#: By what became of a rung: the colours of states.
COLOURS = {"kept": "live", "would pass": "ready", "refused": "failed"}

_WIDTH, _HEIGHT = 400, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 16, 30
#: Two labels nearer than this lie on each other; a letter is about so wide.
_LINE, _LETTER = 15, 7.2
#: Where a label may stand beside its point: in line with it, then further and further off.
_STEPS = (0, -1, 1, -2, 2, -3, 3, -4, 4)


def ladder_plot(rungs: Sequence[Rung]) -> Markup | None:
    """Return both pictures; None below two points, which are no picture."""
    tried = [rung for rung in rungs if rung.gain is not None and rung.cost_s is not None]
    if len(tried) < 2:  # noqa: PLR2004 - one point is no picture
        return None
    pictures = [
        _picture(
            "Gain over what serves, with its interval, against the time until it would serve:"
            " training, and in bold the embedding.",
            tried,
            CostScale.over(_cost(rung) for rung in tried),
            _cost,
            lambda rung: f"after {format_duration(_cost(rung))}",
        ),
        _picture(
            "The same gain against the time that encoding a query takes.",
            tried,
            CostScale.of_queries(_latency(rung) for rung in tried),
            _latency,
            lambda rung: f"at {rung.query_ms or 0.0:.1f} ms a query",
        ),
    ]
    return element("div", pictures, class_="columns pictures")


def _picture(
    caption: str,
    rungs: Sequence[Rung],
    scale: CostScale,
    cost: Callable[[Rung], float],
    told: Callable[[Rung], str],
) -> Markup:
    axes = _Axes.over(rungs, scale)
    serving = cost is _cost
    points = [
        _Point.of(rung, axes, begin=rung.train_s or 0.0 if serving else cost(rung), end=cost(rung))
        for rung in rungs
    ]
    words = ", ".join(f"{point.rung.mode} {point.gain:+.3f} {told(point.rung)}" for point in points)
    drawing = element(
        "svg",
        [_level(value, axes) for value in axes.levels],
        [_mark(place, name) for place, name in scale.marks()],
        # Lines first, so that none crosses a name.
        [_lines(point, axes) for point in points] if serving else None,
        [_dot(point) for point in points],
        [_name(point, at) for point, at in zip(points, _labels(points), strict=True)],
        class_="through modes-plot",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        width=_WIDTH,
        height=_HEIGHT,
        role="img",
        aria_label=f"{caption} {words}",
    )
    return element("figure", drawing, element("figcaption", caption))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axes:
    """Gain upwards, cost to the right, in the picture's own units."""

    low: float
    high: float
    scale: CostScale

    @classmethod
    def over(cls, rungs: Sequence[Rung], scale: CostScale) -> "_Axes":
        """Hold every interval, and zero."""
        gains = [rung.gain for rung in rungs if rung.gain is not None]
        return cls(
            low=min(0.0, *(gain.low for gain in gains)),
            high=max(0.0, *(gain.high for gain in gains)),
            scale=scale,
        )

    @property
    def levels(self) -> list[float]:
        """Zero, and the ends that do not lie on it."""
        ground = self.up(0.0)
        return [0.0, *(end for end in (self.low, self.high) if abs(self.up(end) - ground) > _LINE)]

    def right(self, seconds: float) -> float:
        return _rightwards(self.scale.place(seconds))

    def up(self, gain: float) -> float:
        ground = _HEIGHT - _BOTTOM
        share = (gain - self.low) / ((self.high - self.low) or 1.0)
        return round(ground - share * (ground - _TOP), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    """A rung in the picture."""

    rung: Rung
    gain: float
    #: Where its embedding begins and ends; the point stands at the end.
    begin: float
    x: float
    y: float

    @classmethod
    def of(cls, rung: Rung, axes: _Axes, *, begin: float, end: float) -> "_Point":
        assert rung.gain is not None
        gain = rung.gain.value
        return cls(
            rung=rung, gain=gain, begin=axes.right(begin), x=axes.right(end), y=axes.up(gain)
        )

    @property
    def colour(self) -> str:
        return COLOURS[self.rung.verdict]


def _labels(points: Sequence[_Point]) -> list[tuple[float, float]]:
    """Return where each name begins: beside its point, and on no other name and no point."""
    taken = [(min(point.begin, point.x - 8), point.x + 8, point.y) for point in points]
    found = []
    for point in points:
        width = len(point.rung.mode) * _LETTER
        fits = point.x + 10 + width <= _WIDTH
        begin = point.x + 10 if fits else point.x - 10 - width
        y = next(
            (
                wanted
                for wanted in (point.y + step * _LINE for step in _STEPS)
                if _LINE / 2 < wanted < _HEIGHT - _BOTTOM
                and not any(
                    begin < right and left < begin + width and abs(wanted - at) < _LINE
                    for left, right, at in taken
                )
            ),
            point.y,
        )
        taken.append((begin, begin + width, y))
        found.append((round(begin, 1), round(y, 1)))
    return found


def _level(value: float, axes: _Axes) -> Markup:
    at = axes.up(value)
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


def _lines(point: _Point, axes: _Axes) -> Markup:
    """Draw the interval upwards and, of what embeds documents, the time of that sideways."""
    gain = point.rung.gain
    assert gain is not None
    low, high = axes.up(gain.low), axes.up(gain.high)
    interval = element("line", x1=point.x, x2=point.x, y1=low, y2=high, class_="whisker")
    embedding = element(
        "line", x1=point.begin, x2=point.x, y1=point.y, y2=point.y, class_="embedding"
    )
    lines = [interval, embedding if point.begin < point.x else None]
    return element("g", lines, class_=point.colour)


def _dot(point: _Point) -> Markup:
    return element(
        "g",
        element("title", f"{point.rung.mode}: {point.rung.verdict}"),
        element("circle", cx=point.x, cy=point.y, r=5),
        class_=point.colour,
    )


def _name(point: _Point, at: tuple[float, float]) -> Markup:
    x, y = at
    leader = None
    if y != point.y:
        end = x - 1 if x > point.x else x + len(point.rung.mode) * _LETTER
        leader = element("line", x1=point.x, y1=point.y, x2=end, y2=y, class_="leader")
    return element("g", leader, element("text", point.rung.mode, x=x, y=y + 4), class_=point.colour)


def _cost(rung: Rung) -> float:
    return rung.cost_s or 0.0


def _latency(rung: Rung) -> float:
    return (rung.query_ms or 0.0) / 1000


def _rightwards(place: float) -> float:
    return round(_LEFT + 8 + place * (_WIDTH - _LEFT - _RIGHT - 8), 1)
