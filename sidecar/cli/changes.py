"""Queries that gained and lost most, old and new answers side by side."""

from itertools import zip_longest

from desireline.sidecar.answer_changes import Answer, AnswerChanges, ChangedQuery
from desireline.sidecar.cli.terminal import Terminal

#: Queries of each kind, and answers of each; a page has room for more.
_QUERIES, _ANSWERS = 3, 5
_TITLE = 44


def show_changes(changes: AnswerChanges, terminal: Terminal) -> None:
    """Show the largest wins and losses, what people wanted marked with a star."""
    rows = [
        row
        for kind, examples in (("won", changes.wins), ("lost", changes.losses))
        for example in examples[:_QUERIES]
        for row in _rows(kind, example, changes)
    ]
    if rows:
        terminal.table(["", "before", "after (* wanted)", ""], rows[:-1])
    terminal.say(changes.sentence)


def _rows(kind: str, example: ChangedQuery, changes: AnswerChanges) -> list[list[str]]:
    gain = f"{changes.measure} {example.gain:+.3f}"
    head = [kind, example.query, gain, _moves(example, changes.depth)]
    lines = zip_longest(example.before[:_ANSWERS], example.after[:_ANSWERS])
    return [
        head,
        *(
            [str(place), _title(before), _title(after), _way(after)]
            for place, (before, after) in enumerate(lines, 1)
        ),
        ["", "", "", ""],
    ]


def _moves(example: ChangedQuery, depth: int) -> str:
    """Say where what people wanted went, and how many came and went."""
    came = sum(answer.entered for answer in example.answers)
    went = sum(answer.left for answer in example.answers)
    places = ", ".join(
        f"{_place(answer.before, depth)} -> {_place(answer.after, depth)}"
        for answer in example.wanted[:3]
    )
    return f"* {places}; {came} entered the first ten, {went} left"


def _place(position: int | None, depth: int) -> str:
    return f"beyond {depth}" if position is None else str(position)


def _title(answer: Answer | None) -> str:
    if answer is None:
        return ""
    whole = len(answer.title) <= _TITLE
    title = answer.title if whole else f"{answer.title[: _TITLE - 1]}…"
    return f"* {title}" if answer.wanted else f"  {title}"


def _way(answer: Answer | None) -> str:
    if answer is None or answer.before == answer.after:
        return ""
    if answer.before is None or answer.entered:
        return "new" if answer.before is None else f"new, from {answer.before}"
    return f"{'up' if (answer.after or 0) < answer.before else 'down'} from {answer.before}"
