"""A click log's health in a terminal, as wide as it is."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.reports.log_words import (
    ENOUGH_IMPRESSIONS,
    Report,
    enough,
    headline,
    lacking,
    parts,
    positions_sentence,
    share,
)

#: Lines longer than this are hard to read, however wide the window is.
_WIDEST = 80
_NAME = 17
_BAR = 32
_BLOCKS = "▏▎▍▌▋▊▉█"
_FAINT = "▒"
_LONGEST_QUERY = 44


def show_health(report: Report, terminal: Terminal) -> None:
    """Tell a person the whole report."""
    page = _Page(terminal)
    page.text(f"{report['target']}: {headline(report)}", style="bold")
    _ladder(report, page)
    for part in parts(report):
        page.title(part.title)
        for line in part.lines:
            page.line(line.name, line.text)
    _positions(report, page)
    _queries(report["figures"], page)
    _passed_by(report["figures"], page)
    _defects(report["explained"], page)
    for warning in report["warnings"]:
        page.text(f"Warning: {warning}.", style="yellow")


class _Page:
    """Lines broken between words, continued under their text."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.width = min(terminal.columns, _WIDEST)
        self.bar_cells = max(4, min(_BAR, self.width - 44))
        self.plain = not terminal.draws_blocks

    def title(self, title: str) -> None:
        self._terminal.say("")
        self._terminal.say(title, style="bold")

    def text(self, text: str, *, style: str = "", indent: str = "") -> None:
        for line in textwrap.wrap(
            text,
            self.width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_on_hyphens=False,
        ):
            self._terminal.say(line, style=style)

    def raw(self, line: str) -> None:
        self._terminal.say(line.rstrip())

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        cells = [
            [_cell(cell, name) for cell, name in zip(row, columns, strict=True)] for row in rows
        ]
        self._terminal.table(["", *columns], [["", *row] for row in cells])

    def line(self, name: str, text: str, *, style: str = "") -> None:
        lines = textwrap.wrap(text, max(20, self.width - _NAME - 4), break_on_hyphens=False)
        for number, line in enumerate(lines or [""]):
            self._terminal.say(
                f"  {name if number == 0 else '':<{_NAME}}  {line}".rstrip(), style=style
            )


def _cell(cell: object, column: str) -> str:
    """Write a number to the right of its column, a text as it may be shown."""
    return f"{cell:,}".rjust(len(column)) if isinstance(cell, int) else printable(str(cell))


def _ladder(report: Report, page: _Page) -> None:
    page.title("Readiness")
    for tier in report["readiness"]["tiers"]:
        reached = tier["reached"]
        page.line(
            f"{tier['number']} {tier['title']}",
            f"{'reached' if reached else 'open'} - {tier['unlocks']}",
            style="green" if reached else "",
        )
        for need in lacking(report, tier):
            page.line("", f"lacks {need['sentence']}", style="yellow")
            page.line("", f"mend: {need['mend']}", style="yellow")


def _positions(report: Report, page: _Page) -> None:
    figures = report["figures"]
    if not figures["places"] and not figures["unplaced"]["impressions"]:
        return
    page.title("Click-through by position")
    rows = [(f"{place['position']:>4}", place) for place in figures["places"]]
    rows += [
        (name, place)
        for name, place in (("below", figures["below"]), ("unknown", figures["unplaced"]))
        if place["impressions"]
    ]
    solid = [_through(place) for _, place in rows if enough(place)]
    highest = max(solid or [_through(place) for _, place in rows])
    for name, place in rows:
        length = min(_through(place) / highest, 1.0) if highest else 0.0
        bar = _bar(length, page.bar_cells, _style(page, solid=enough(place)))
        through = share(place["clicks"], place["impressions"])
        page.raw(
            f"  {name:>7}  {bar} {through:>6}  {place['clicks']:,} of {place['impressions']:,}"
        )
    if len(solid) < len(rows):
        faint = _style(page, solid=False)[-1]
        page.text(
            f"{faint} fewer than {ENOUGH_IMPRESSIONS} impressions: no measure yet", indent="  "
        )
    page.text(positions_sentence(report), indent="  ")


def _through(place: Report) -> float:
    return place["clicks"] / place["impressions"] if place["impressions"] else 0.0


def _style(page: _Page, *, solid: bool) -> str:
    """Return what a bar is drawn with: parts of a cell, shortest first, and the whole one."""
    if page.plain:
        return "#" if solid else "."
    return _BLOCKS if solid else _FAINT


def _bar(length: float, cells: int, style: str) -> str:
    whole, part = divmod(round(length * cells * len(style)), len(style))
    return (style[-1] * whole + (style[part - 1] if part else "")).ljust(cells)


def _queries(figures: Report, page: _Page) -> None:
    for title, queries in (
        ("Most frequent queries", figures["frequent"]),
        ("Most frequent queries that never got a click", figures["never_clicked"]),
    ):
        if queries:
            page.title(title)
            page.table(
                ("query", "searches", "clients"),
                [(each["query"], each["searches"], each["clients"]) for each in queries],
            )
    if figures["queries_withheld"]:
        page.title("Not shown")
        page.text(
            f"The words of {figures['queries_withheld']:,} queries: too few clients typed them for"
            " their words to be anybody's.",
            indent="  ",
        )


def _passed_by(figures: Report, page: _Page) -> None:
    if figures["passed_by"]:
        page.title("Most often shown, never clicked")
        page.table(
            ("document", "impressions"),
            [(each["document_id"], each["impressions"]) for each in figures["passed_by"]],
        )


def _defects(explained: Sequence[Mapping[str, Any]], page: _Page) -> None:
    if not explained:
        return
    page.title("Defects")
    for defect in explained:
        page.text(
            f"{defect['name']}: {defect['count']:,}, {defect['effect']}",
            indent="  ",
            style="red" if defect["effect"] == "lost" else "",
        )
        if defect["means"]:
            page.text(f"{defect['means']}.", indent="      ")
            page.text(f"Mend: {defect['mend']}.", indent="      ")


def printable(text: str, longest: int = _LONGEST_QUERY) -> str:
    """Return what a stranger wrote, cut, and without what would steer a terminal."""
    safe = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return safe if len(safe) <= longest else f"{safe[: longest - 1]}…"
