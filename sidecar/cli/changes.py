"""Queries that gained and lost most, old and new answers side by side."""

from itertools import zip_longest

from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.reports.answer_changes import Answer, AnswerChanges, ChangedQuery

#: Queries of each kind, and answers of each; a page has room for more.
_QUERIES, _ANSWERS = 3, 5
#: Most columns of a title, and those that the rest of a row needs.
_TITLE, _BESIDE = 44, 24
#: Characters of a query; nobody reads on.
_QUERY = 160


def show_changes(changes: AnswerChanges, terminal: Terminal) -> None:
    """Show the largest wins and losses, what people wanted marked with a star."""
    title = min(_TITLE, (terminal.columns - _BESIDE) // 2)
    for kind, examples in (("won", changes.wins), ("lost", changes.losses)):
        for example in examples[:_QUERIES]:
            gain = f"{changes.measure} {example.gain:+.3f}"
            terminal.say(f"{kind} {gain}: {_clipped(example.query, _QUERY)}")
            terminal.say(f"  {_moves(example, changes.depth)}")
            terminal.table(["", "before", "after (* wanted)", ""], _rows(example, title))
    terminal.say(changes.sentence)


def _rows(example: ChangedQuery, title: int) -> list[list[str]]:
    lines = zip_longest(example.before[:_ANSWERS], example.after[:_ANSWERS])
    return [
        [f"{place:>4}", _title(before, title), _title(after, title), _way(after)]
        for place, (before, after) in enumerate(lines, 1)
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


def _title(answer: Answer | None, most: int) -> str:
    if answer is None:
        return ""
    return f"{'*' if answer.wanted else ' '} {_clipped(answer.title, most - 2)}"


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _way(answer: Answer | None) -> str:
    if answer is None or answer.before == answer.after:
        return ""
    if answer.before is None or answer.entered:
        return "new" if answer.before is None else f"new, from {answer.before}"
    return f"{'up' if (answer.after or 0) < answer.before else 'down'} from {answer.before}"
