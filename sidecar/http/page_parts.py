"""What a target's page shows: its live generation, last cycle, measures and generations."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from desireline.connectors.search_engine import Hit
from desireline.sidecar.http.markup import Child, Markup, element, render
from desireline.sidecar.http.picture import bars
from desireline.sidecar.serving import LiveGeneration

_RANKERS = (("bm25", "BM25"), ("base", "Base"), ("tuned", "Tuned"))
_NOTHING = "\N{EN DASH}"
_SHOWN_CHARACTERS = 160


def moment(value: object) -> str:
    """Return an ISO time for people, in UTC."""
    if not isinstance(value, str) or not value:
        return _NOTHING
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return value
    return f"{(at.astimezone(UTC) if at.tzinfo else at):%Y-%m-%d %H:%M} UTC"


def span(begun: object, ended: object) -> str:
    """Return when something ran, and for how long."""
    if not (isinstance(begun, str) and isinstance(ended, str)):
        return f"since {moment(begun)}"
    try:
        minutes = (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).seconds // 60
    except (ValueError, TypeError):
        return f"{moment(begun)} to {moment(ended)}"
    return f"{moment(begun)}, took {f'{minutes} min' if minutes else 'less than a minute'}"


def state_mark(state: object) -> Markup:
    """Return the state of a generation or cycle as a small coloured word."""
    return element("span", str(state), class_=f"state {_css_name(state)}")


def generations_table(generations: Sequence[Mapping[str, Any]]) -> Markup:
    """Return every generation as a row."""
    titles = ("No.", "State", "Covered", "Slot", "Encoder", "From", "Made")
    return _table(titles, [_generation_row(found) for found in generations], class_="generations")


def _generation_row(found: Mapping[str, Any]) -> Markup:
    parent = found.get("parent")
    cells: list[Child] = [
        element("strong", str(found.get("number", _NOTHING))),
        [state_mark(found.get("state", "")), _small(found.get("reason"))],
        _coverage(found.get("coverage")),
        element("code", str(found.get("slot", ""))),
        _fingerprint(str(found.get("fingerprint", ""))),
        _NOTHING if parent is None else str(parent),
        element("span", moment(found.get("created_at")), class_="nowrap"),
    ]
    return element("tr", [element("td", cell) for cell in cells])


def measures_table(report: Mapping[str, Any]) -> Markup | None:
    """Return BM25, base and tuned side by side, the gain with its interval, and bars."""
    measured: Mapping[str, Mapping[str, float]] = report.get("measures") or {}
    names = list(dict.fromkeys(name for ranker in measured.values() for name in ranker))
    if not names:
        return None
    intervals: Mapping[str, Sequence[float]] = report.get("interval") or {}
    rows = [_measure_row(name, measured, intervals.get(name)) for name in names]
    titles = ("Measure", *map(_ranker, _RANKERS), "Gain over base", "")
    return _table(titles, rows, class_="measures")


def _ranker(named: tuple[str, str]) -> Markup:
    name, title = named
    return render([element("span", class_=f"key {name}"), title])


def _measure_row(
    name: str, measured: Mapping[str, Mapping[str, float]], interval: Sequence[float] | None
) -> Markup:
    values = [(ranker, measured.get(ranker, {}).get(name)) for ranker, _ in _RANKERS]
    base, tuned = values[1][1], values[2][1]
    best = max((value for _, value in values if value is not None), default=None)
    cells = [
        element("td", _number(value), class_="number best" if value == best else "number")
        for _, value in values
    ]
    return element(
        "tr",
        element("th", name, scope="row"),
        cells,
        element("td", _gain(base, tuned, interval), class_="number nowrap"),
        element("td", bars(name, values)),
    )


def _gain(base: float | None, tuned: float | None, interval: Sequence[float] | None) -> Child:
    if base is None or tuned is None:
        return _NOTHING
    gain = element("span", f"{tuned - base:+.3f}", class_=f"gain {_direction(interval)}")
    if not interval:
        return gain
    low, high = interval
    return [gain, element("span", f" [{low:+.3f}, {high:+.3f}]", class_="interval")]


def _direction(interval: Sequence[float] | None) -> str:
    if not interval:
        return ""
    low, high = interval
    return "up" if low > 0 else "down" if high < 0 else ""


def steps_list(steps: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Return what each step of a cycle said."""
    rows = [
        [element("dt", str(step.get("name", ""))), element("dd", str(step.get("sentence", "")))]
        for step in steps
    ]
    return element("dl", rows, class_="steps") if rows else None


def moves(now: Sequence[Hit], before: Sequence[Hit] | None) -> Mapping[str, str]:
    """Return how each answer came to its position: `new`, `up from 5`, `down from 1`."""
    if not before:
        return {}
    old = {hit.document_id: position for position, hit in enumerate(before, 1)}
    told = {}
    for position, hit in enumerate(now, 1):
        was = old.get(hit.document_id)
        if was is None:
            told[hit.document_id] = "new"
        elif was != position:
            told[hit.document_id] = f"{'up' if position < was else 'down'} from {was}"
    return told


def losses(before: Sequence[Hit], now: Sequence[Hit]) -> Mapping[str, str]:
    """Return the earlier answers that are gone."""
    kept = {hit.document_id for hit in now}
    return {hit.document_id: "gone" for hit in before if hit.document_id not in kept}


def answers(
    title: str, generation: LiveGeneration, hits: Sequence[Hit], *, marks: Mapping[str, str]
) -> Markup:
    """Return one generation's answers, some with a mark."""
    rows = [_answer(hit, marks.get(hit.document_id)) for hit in hits]
    heading = element("h3", title, element("small", f"generation {generation.number}"))
    content = element("ol", rows) if rows else element("p", "Nothing was found.", class_="quiet")
    return element("section", heading, content, class_="answers")


def _answer(hit: Hit, mark: str | None) -> Markup:
    texts = [value for value in hit.fields.values() if isinstance(value, str) and value.strip()]
    title, rest = (texts[0], " · ".join(texts[1:])) if texts else (hit.document_id, "")
    return element(
        "li",
        element("span", _shortened(title), class_="title"),
        element("span", mark, class_=f"mark {mark.split()[0]}") if mark else None,
        element("span", _shortened(rest), class_="rest") if rest else None,
        element("small", element("code", hit.document_id), f" {hit.score:.3f}"),
    )


def _table(titles: Sequence[Child], rows: Sequence[Markup], *, class_: str) -> Markup:
    head = element("thead", element("tr", [element("th", t, scope="col") for t in titles]))
    table = element("table", head, element("tbody", rows), class_=class_)
    return element("div", table, class_="wide", tabindex="0", role="region", aria_label=class_)


def _coverage(coverage: object) -> str:
    if not isinstance(coverage, Mapping):
        return _NOTHING
    return f"{coverage['stamped']:,} of {coverage['documents']:,}"


def _fingerprint(fingerprint: str) -> Markup:
    return element("code", fingerprint.removeprefix("sha256:")[:12], title=fingerprint)


def _number(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.3f}"


def _small(reason: object) -> Markup | None:
    return element("small", str(reason), class_="reason") if reason else None


def _shortened(text: str) -> str:
    whole = len(text) <= _SHOWN_CHARACTERS
    return text if whole else f"{text[:_SHOWN_CHARACTERS].rsplit(' ', 1)[0]} …"


def _css_name(state: object) -> str:
    return "".join(c for c in str(state).lower().replace("_", "-") if c.isascii() and c.isalpha())
