"""What queries mean: how right the serving head is, on the long tail too, and what uses it."""

from collections.abc import Mapping
from typing import Any

from desireline.sidecar.http.markup import Child, Markup, element
from desireline.sidecar.http.page_parts import NOTHING, moment, state_mark, table
from desireline.sidecar.reports.reporting import as_sentence
from desireline.trainer.intent.scoring import EVERYWHERE, FIGURES, RARE, SELDOM

#: Names of the figures, and what each says.
_FIGURES = {
    "accuracy": ("Accuracy", "how often the likeliest category is right"),
    "top-3": ("Top 3", "how often one of the three likeliest is right"),
    "macro-f1": ("Macro F1", "each category counts the same, however often it is meant"),
    "calibration error": (
        "Calibration error",
        "how far confidences are from how often they are right; 0 is best",
    ),
    "log-loss": ("Log-loss", "how surprised it is by what people clicked; 0 is best"),
}
_PARTS = {EVERYWHERE: "All queries", SELDOM: "Queries typed least", RARE: "Rare categories"}


def intent_section(view: Mapping[str, Any] | None) -> Markup | None:
    """Return the section; None where the target learns no intent."""
    if view is None:
        return None
    head, last = view["head"], view["last"]
    learned = element("small", f"learned {moment(head['learned_at'])}") if head else None
    sentence = (view["verdict"] or {}).get("sentence") if head else view["missing"]
    later = last and (not head or last["cycle"] != head["cycle"])
    return element(
        "section",
        element("h2", "Intent ", state_mark("serves" if head else "no head"), learned),
        element("p", as_sentence(sentence), class_="reason") if sentence else None,
        element("p", _last(last), class_="reason") if later else None,
        _measured(head["figures"]) if head else None,
        element("dl", _facts(view), class_="steps"),
        class_="intent",
    )


def _last(last: Mapping[str, str]) -> str:
    return f"The cycle of {moment(last['at'])} said: {last['sentence']}."


def _measured(figures: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Markup | None:
    parts = [part for part in _PARTS if part in figures]
    rows = [_row(name, figures, parts) for name in FIGURES if name in figures.get(EVERYWHERE, {})]
    if not rows:
        return None
    return table(("", *(_PARTS[part] for part in parts)), rows, class_="intent-figures")


def _row(
    name: str, figures: Mapping[str, Mapping[str, Mapping[str, float]]], parts: list[str]
) -> Markup:
    title, means = _FIGURES[name]
    cells = [_cell(_PARTS[part], figures[part].get(name)) for part in parts]
    return element("tr", element("th", title, element("small", means), scope="row"), cells)


def _cell(part: str, figure: Mapping[str, float] | None) -> Markup:
    label = element("span", part, class_="label")
    if figure is None:
        return element("td", label, NOTHING, class_="number")
    within = f"[{figure['low']:.3f}, {figure['high']:.3f}]"
    told = [f"{figure['value']:.3f}", element("span", within, class_="interval")]
    return element("td", label, told, class_="number")


def _facts(view: Mapping[str, Any]) -> list[Child]:
    rows = {"Field": view["field"], "Searches": _use(view)}
    if head := view["head"]:
        rows["Learned from"] = (
            f"{head['queries']:,} queries and {head['titles']:,} titles of"
            f" {head['categories']:,} categories"
        )
    return [[element("dt", name), element("dd", str(text))] for name, text in rows.items()]


def _use(view: Mapping[str, Any]) -> str:
    """Say what searches through the sidecar make of it."""
    if view["use"] == "filter":
        return (
            f"filter: where at most {view['max_categories']} categories are together right with"
            f" confidence {view['min_confidence']:g}, only their documents are searched; with fewer"
            f" than {view['min_hits']} answers the search is asked again without the filter"
        )
    if view["use"] == "boost":
        return (
            "boost: documents of likely categories come nearer, by at most"
            f" {view['boost']:g} of a cosine"
        )
    return 'off: searches make nothing of it; set use = "boost" or "filter" to change that'
