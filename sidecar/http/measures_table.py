"""Before and after: what each ranker measured on the held-out queries of a cycle."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from desireline.sidecar.http.markup import Child, Markup, element, render
from desireline.sidecar.http.page_parts import NOTHING, table
from desireline.sidecar.http.picture import bars
from desireline.sidecar.reports.judged_parts import GENERAL
from desireline.trainer.measures.base import label_of

_RANKERS = {"bm25": "BM25", "base": "Base", "incumbent": "Incumbent", "candidate": "Candidate"}

_Row: TypeAlias = Mapping[str, Mapping[str, float]]


def measures_table(report: Mapping[str, Any]) -> Markup | None:
    """Return the rankers side by side, the gain over what served, and bars; None if unmeasured.

    The incumbent has no column of its own while it is still the base encoder.
    """
    found = report.get("measures") or {}
    measured: dict[str, _Row] = {name: found[name] for name in _RANKERS if name in found}
    if not measured:
        return None
    before = "incumbent" if "incumbent" in measured else "base"
    if measured.get("incumbent") == measured.get("base"):
        measured.pop("incumbent", None)
        before = "base"
    names = list(dict.fromkeys(name for row in measured.values() for name in row))
    gains = report.get("gain") or {}
    rows = [_measure(name, measured, before, gains.get(name)) for name in names]
    titles = ["Measure", *map(_title, measured), f"Gain over {before}", ""]
    return table(titles, rows, class_="measures")


def _title(ranker: str) -> Markup:
    return render([element("span", class_=f"key {ranker}"), _RANKERS[ranker]])


def _measure(
    name: str, measured: Mapping[str, _Row], before: str, gain: Mapping[str, float] | None
) -> Markup:
    found = {ranker: row.get(name) for ranker, row in measured.items()}
    values = {ranker: cell["value"] if cell else None for ranker, cell in found.items()}
    best = max((value for value in values.values() if value is not None), default=None)
    cells = [_cell(ranker, cell, best) for ranker, cell in found.items()]
    over_base = GENERAL in name and before != "base"
    difference = element(
        "td",
        _gain(values, before, gain),
        element("span", "over base", class_="interval") if over_base else None,
        class_="number difference",
    )
    picture = element("td", bars(name, list(values.items())))
    return element("tr", element("th", label_of(name), scope="row"), cells, difference, picture)


def _cell(ranker: str, cell: Mapping[str, float] | None, best: float | None) -> Markup:
    label = element("span", _title(ranker), class_="label")
    if cell is None:
        return element("td", label, NOTHING, class_="number")
    value = element("strong" if cell["value"] == best else "span", f"{cell['value']:.3f}")
    within = _interval(f"{cell['low']:.3f}", f"{cell['high']:.3f}")
    return element("td", label, value, within, class_="number")


def _gain(
    values: Mapping[str, float | None], before: str, gain: Mapping[str, float] | None
) -> Child:
    if gain is not None:
        direction = "up" if gain["low"] > 0 else "down" if gain["high"] < 0 else "open"
        value = element("span", f"{gain['value']:+.3f}", class_=f"gain {direction}")
        return [value, _interval(f"{gain['low']:+.3f}", f"{gain['high']:+.3f}")]
    old, new = values.get(before), values.get("candidate")
    return NOTHING if old is None or new is None else f"{new - old:+.3f}"


def _interval(low: str, high: str) -> Markup:
    return element("span", f"[{low}, {high}]", class_="interval")
