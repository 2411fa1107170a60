"""What a target's page shows: its live generation, last cycle, measures and generations."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from string import ascii_lowercase
from typing import Any
from urllib.parse import quote

from desireline.connectors.search_engine import Hit
from desireline.sidecar.configuration.durations import format_duration
from desireline.sidecar.http.markup import Child, Markup, element
from desireline.sidecar.serving.live import LiveGeneration

NOTHING = "\N{EN DASH}"
_SHOWN_CHARACTERS = 160
_GENERATION = ("No.", "State", "Covered", "Slot", "Encoder", "From", "Made")
_CSS_NAME = frozenset(f"{ascii_lowercase}-")


def moment(value: object) -> str:
    """Return an ISO time for people, in UTC."""
    if not isinstance(value, str) or not value:
        return NOTHING
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
        took = datetime.fromisoformat(ended) - datetime.fromisoformat(begun)
    except (ValueError, TypeError):
        return f"{moment(begun)} to {moment(ended)}"
    long = took >= timedelta(minutes=1)
    told = format_duration(took.total_seconds()) if long else "less than a minute"
    return f"{moment(begun)}, took {told}"


def state_mark(state: object) -> Markup:
    """Return the state of a generation or cycle as a small coloured word."""
    return element("span", str(state), class_=f"state {_css_name(state)}")


def generations_table(generations: Sequence[Mapping[str, Any]], models: str) -> Markup:
    """Return every generation as a row; `models` is the address of the encoders' cards."""
    rows = [_generation_row(found, models) for found in generations]
    return table(_GENERATION, rows, class_="generations")


def _generation_row(found: Mapping[str, Any], models: str) -> Markup:
    parent = found.get("parent")
    cells: list[Child] = [
        element("strong", str(found.get("number", NOTHING))),
        [state_mark(found.get("state", "")), small(found.get("reason"))],
        element("span", _coverage(found.get("coverage")), class_="nowrap"),
        [element("code", str(found.get("slot", ""))), small(_borrowed(found.get("vectors_of")))],
        _fingerprint(str(found.get("fingerprint", "")), models),
        NOTHING if parent is None else str(parent),
        element("span", moment(found.get("created_at")), class_="nowrap"),
    ]
    labels = [element("span", title, class_="label") for title in _GENERATION]
    named = zip(labels, cells, strict=True)
    return element("tr", [element("td", label, cell) for label, cell in named])


def _borrowed(vectors_of: object) -> str:
    return "" if vectors_of is None else f"the vectors of generation {vectors_of}"


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


def table(titles: Sequence[Child], rows: Sequence[Markup], *, class_: str) -> Markup:
    """Return a table that scrolls by itself where the page is narrow."""
    head = element("thead", element("tr", [element("th", t, scope="col") for t in titles]))
    whole = element("table", head, element("tbody", rows), class_=class_)
    return element("div", whole, class_="wide", tabindex="0", role="region", aria_label=class_)


def spoken(sentence: str) -> list[Child]:
    """Show what stands between backticks as code."""
    pieces = sentence.split("`")
    return [element("code", piece) if n % 2 else piece for n, piece in enumerate(pieces)]


def _coverage(coverage: object) -> str:
    if not isinstance(coverage, Mapping):
        return NOTHING
    return f"{coverage['stamped']:,} of {coverage['documents']:,}"


def _fingerprint(fingerprint: str, models: str) -> Markup:
    short = fingerprint.removeprefix("sha256:")[:12]
    link = f"{models}/{quote(short, safe='')}"
    return element("a", element("code", short, title=fingerprint), href=link)


def small(reason: object) -> Markup | None:
    """Return what stands small below a cell's content; None where there is nothing."""
    return element("small", str(reason), class_="reason") if reason else None


def _shortened(text: str) -> str:
    whole = len(text) <= _SHOWN_CHARACTERS
    return text if whole else f"{text[:_SHOWN_CHARACTERS].rsplit(' ', 1)[0]} …"


def _css_name(state: object) -> str:
    return "".join(c for c in str(state).lower().replace(" ", "-") if c in _CSS_NAME)
