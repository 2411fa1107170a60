"""Before and after as bars: one small picture a measure."""

from collections.abc import Sequence

from desireline.sidecar.http.markup import Markup, element

_WIDTH = 260
_BAR = 6
_GAP = 3


def bars(measure: str, values: Sequence[tuple[str, float | None]]) -> Markup:
    """Return one bar per named value in 0..1, as long as the value; None has none."""
    height = len(values) * (_BAR + _GAP) - _GAP
    told = ", ".join(f"{name} {value:.3f}" for name, value in values if value is not None)
    return element(
        "svg",
        [_row(place, name, value) for place, (name, value) in enumerate(values)],
        class_="bars",
        viewBox=f"0 0 {_WIDTH} {height}",
        width=_WIDTH,
        height=height,
        role="img",
        aria_label=f"{measure}: {told}",
    )


def _row(place: int, name: str, value: float | None) -> Markup:
    top = place * (_BAR + _GAP)
    ground = element("rect", class_="ground", x=0, y=top, width=_WIDTH, height=_BAR, rx=3)
    if value is None:
        return ground
    length = round(min(max(value, 0.0), 1.0) * _WIDTH, 1)
    bar = element("rect", class_=f"bar {name}", x=0, y=top, width=length, height=_BAR, rx=3)
    return Markup(ground + bar)
