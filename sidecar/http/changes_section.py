"""Queries that gained and lost most: the first ten answers before and after, side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

from desireline.sidecar.http.markup import Child, Markup, element
from desireline.sidecar.reports.answer_changes import Answer, AnswerChanges, ChangedQuery


def changes_section(report: Mapping[str, Any]) -> Markup | None:
    """Return the examples of a cycle; None where nothing was judged."""
    found = report.get("changes")
    if not found:
        return None
    changes = AnswerChanges.model_validate(found)
    return element(
        "section",
        element("h2", "Answers that change"),
        element("p", f"{changes.sentence}.", class_="quiet"),
        _examples("Gained most", changes.wins, changes),
        _examples("Lost most", changes.losses, changes),
        class_="changes",
    )


def _examples(
    title: str, examples: Sequence[ChangedQuery], changes: AnswerChanges
) -> Markup | None:
    if not examples:
        return None
    shown = [
        _example(example, changes, opened=number == 0) for number, example in enumerate(examples)
    ]
    return element("div", element("h3", title), shown)


def _example(example: ChangedQuery, changes: AnswerChanges, *, opened: bool) -> Markup:
    direction = "up" if example.gain > 0 else "down"
    moved = ", ".join(
        f"{_place(each.before, changes.depth)} \N{RIGHTWARDS ARROW}"
        f" {_place(each.after, changes.depth)}"
        for each in example.wanted[:3]
    )
    gain = element("span", f"{changes.measure} {example.gain:+.3f}", class_=f"gain {direction}")
    clicked = element("small", f"what people wanted: {moved}") if moved else None
    summary = element(
        "summary", element("span", example.query, class_="title"), " ", gain, " ", clicked
    )
    columns = element(
        "div",
        _column("Before", example.before, after=False),
        _column("After", example.after, after=True),
        class_="columns",
    )
    return element("details", summary, columns, open=opened)


def _column(title: str, answers: Sequence[Answer], *, after: bool) -> Markup:
    rows = [_answer(answer, after=after) for answer in answers]
    content = element("ol", rows) if rows else element("p", "Nothing was found.", class_="quiet")
    return element("section", element("h4", title), content, class_="ranking")


def _answer(answer: Answer, *, after: bool) -> Markup:
    way = _came(answer) if after else ("gone" if answer.left else "")
    marks: list[Child] = [
        element("span", "wanted", class_="mark wanted") if answer.wanted else None,
        element("span", way, class_=f"mark {way.split()[0]}") if way else None,
    ]
    return element(
        "li",
        element("span", answer.title, class_="title", title=answer.document_id),
        marks,
        class_="wanted" if answer.wanted else None,
    )


def _came(answer: Answer) -> str:
    if answer.before is None:
        return "new"
    if answer.before == answer.after:
        return ""
    up = (answer.after or 0) < answer.before
    return f"{'up' if up else 'down'} from {answer.before}"


def _place(position: int | None, depth: int) -> str:
    return f"beyond {depth}" if position is None else str(position)
