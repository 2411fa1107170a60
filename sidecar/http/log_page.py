"""The page of a click log's health: readiness, figures, a plot, defects and what to mend."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from desireline.sidecar.http.admin import audit, known_target
from desireline.sidecar.http.click_through import click_through
from desireline.sidecar.http.markup import Child, Markup, element
from desireline.sidecar.http.operations import Operations
from desireline.sidecar.http.page_frame import form, page
from desireline.sidecar.http.page_parts import moment, state_mark, table
from desireline.sidecar.http.requests import Call
from desireline.sidecar.http.routes import Handler, Route, Shown, path
from desireline.sidecar.http.sign_ins import SignIn
from desireline.sidecar.http.threads import Threads
from desireline.sidecar.on_request.api_keys import Scope
from desireline.sidecar.reports.log_words import (
    Report,
    lacking,
    next_step,
    parts,
    positions_sentence,
)
from desireline.sidecar.reports.reporting import as_sentence

_REFRESH_S = 3


class LogPage:
    """Shows the report kept last, and begins to read the log again. Without scripts."""

    def __init__(self, operations: Operations, threads: Threads) -> None:
        self._operations = operations
        self._threads = threads

    def routes(self) -> tuple[Route, ...]:
        """Return the routes of the page."""
        return (
            _route("logs", "GET", self.look, Scope.READ),
            _route("read_logs", "POST", self.read, Scope.ADMIN),
        )

    async def look(self, call: Call) -> Response:
        """Show the report."""
        return await self._show(call, known_target(self._operations, call))

    async def read(self, call: Call) -> Response:
        """Begin to read the log; a repeated click begins nothing more."""
        target = known_target(self._operations, call)
        sentence = await self._threads.run(self._operations.start_log_reading, target)
        audit("a reading of the click log was asked for on the page", call, target)
        return await self._show(call, target, sentence)

    async def _show(self, call: Call, target: str, note: str = "") -> Response:
        view = await self._threads.run(self._operations.log_report, target)
        here = f"/targets/{quote(target, safe='')}"
        report = view["report"]
        return page(
            f"Click log of {target}",
            element("p", f"{note}.", class_="note", role="status") if note else None,
            _heading(target, view, call.sign_in),
            _report(report) if report else None,
            element("p", element("a", f"To {target}", href=here)),
            sign_in=call.sign_in,
            refresh=f"{_REFRESH_S}; url={here}/logs" if view["reading"] else None,
        )


def log_section(target: str, view: Mapping[str, Any]) -> Markup:
    """Return the log's health in brief, for the page of its target."""
    report = view["report"]
    told: list[Child] = ["Click log"]
    if report is not None:
        told += [" ", _tier_mark(report), element("small", f"read {moment(report['read_at'])}")]
    address = f"/targets/{quote(target, safe='')}/logs"
    return element(
        "section",
        element("h2", told),
        element("p", next_step(report), class_="reason") if report else _never_read(target),
        element("p", element("a", "How good the log is, and what to mend", href=address)),
        class_="log",
    )


def _heading(target: str, view: Mapping[str, Any], sign_in: SignIn | None) -> Markup:
    report, may = view["report"], sign_in is not None and sign_in.key.allows(Scope.ADMIN)
    read = form(
        f"/targets/{quote(target, safe='')}/logs", sign_in, element("button", "Read the log now")
    )
    at = element("small", f"read {moment(report['read_at'])}") if report else None
    mark = _tier_mark(report) if report else None
    reading = element("p", "The log is being read; this page shows it when it is.", class_="quiet")
    failed = f"The last reading failed: {view['failed']}."
    return element(
        "section",
        element(
            "div",
            element("h1", ["Click log of ", target, " ", mark, at]),
            element("p", next_step(report), class_="reason") if report else _never_read(target),
            reading if view["reading"] else None,
            element("p", failed, class_="warning") if view["failed"] else None,
        ),
        read if may and not view["reading"] else None,
        class_="summary log",
    )


def _never_read(target: str) -> Markup:
    command = element("code", f"desireline logs {target}")
    return element(
        "p", "The log has not been read yet. Read it with ", command, ".", class_="quiet"
    )


def _tier_mark(report: Report) -> Markup:
    highest = len(report["readiness"]["tiers"]) - 1
    name = f"tier {report['tier']} of {highest}"
    return element("span", name, class_=f"state {'done' if report['tier'] == highest else 'ready'}")


def _report(report: Report) -> list[Child]:
    figures = report["figures"]
    return [
        [element("p", f"{warning}.", class_="warning") for warning in report["warnings"]],
        _ladder(report),
        _positions(report),
        element("div", [_part(part) for part in parts(report)], class_="columns figures"),
        _defects(report["explained"]),
        element(
            "div",
            _queries("Most frequent queries", figures["frequent"]),
            _queries("Most frequent queries that never got a click", figures["never_clicked"]),
            _passed_by(figures["passed_by"]),
            class_="columns",
        ),
        _withheld(figures["queries_withheld"]),
    ]


def _ladder(report: Report) -> Markup:
    steps = [_step(report, tier) for tier in report["readiness"]["tiers"]]
    return element("section", element("h2", "Readiness"), element("ol", steps, class_="ladder"))


def _step(report: Report, tier: Report) -> Markup:
    state = "reached" if tier["reached"] else "open"
    needs = [
        element(
            "p", ["Lacks ", need["sentence"], ". ", element("strong", f"Mend: {need['mend']}.")]
        )
        for need in lacking(report, tier)
    ]
    return element(
        "li",
        element("span", tier["number"], class_=f"rung {state}"),
        element(
            "div",
            element("h3", element("span", [tier["title"], " ", state_mark(state)])),
            element("p", tier["unlocks"]),
            element("div", needs, class_="lacks") if needs else None,
        ),
        class_=state,
    )


def _positions(report: Report) -> Markup | None:
    figures = report["figures"]
    below, unplaced = figures["below"], figures["unplaced"]
    others = [
        f"{place['clicks']:,} clicks on {place['impressions']:,} impressions {where}."
        for place, where in ((below, "further down"), (unplaced, "at no known position"))
        if place["impressions"]
    ]
    picture = click_through(figures["places"])
    if picture is None and not others:
        return None
    return element(
        "section",
        element("h2", "Click-through by position"),
        element("p", positions_sentence(report)),
        picture,
        [element("p", text, class_="quiet") for text in others],
    )


def _part(part: Any) -> Markup:
    rows = [[element("dt", line.name), element("dd", line.text)] for line in part.lines]
    return element("section", element("h2", part.title), element("dl", rows, class_="steps"))


def _defects(explained: Sequence[Report]) -> Markup:
    if not explained:
        none = element("p", "None was found.", class_="quiet")
        return element("section", element("h2", "Defects"), none)
    rows = [
        element(
            "tr",
            element("th", each["name"], scope="row"),
            element("td", f"{each['count']:,}", class_="number"),
            element("td", state_mark(each["effect"])),
            element("td", as_sentence(each["means"])),
            element("td", as_sentence(each["mend"])),
        )
        for each in explained
    ]
    titles = ("Defect", "Events", "Effect", "What it means", "How to mend it")
    return element("section", element("h2", "Defects"), table(titles, rows, class_="defects"))


def _queries(title: str, queries: Sequence[Report]) -> Markup | None:
    if not queries:
        return None
    rows = [
        element(
            "tr",
            element("td", each["query"], class_="query"),
            element("td", f"{each['searches']:,}", class_="number"),
            element("td", f"{each['clients']:,}", class_="number"),
        )
        for each in queries
    ]
    shown = table(("Query", "Searches", "Clients"), rows, class_="counted")
    return element("section", element("h2", title), shown)


def _passed_by(documents: Sequence[Report]) -> Markup | None:
    if not documents:
        return None
    rows = [
        element(
            "tr",
            element("td", element("code", each["document_id"])),
            element("td", f"{each['impressions']:,}", class_="number"),
        )
        for each in documents
    ]
    shown = table(("Document", "Impressions"), rows, class_="counted")
    return element("section", element("h2", "Most often shown, never clicked"), shown)


def _withheld(queries: int) -> Markup | None:
    if not queries:
        return None
    return element(
        "p",
        f"The words of {queries:,} queries are not shown: too few clients typed them for their"
        " words to be anybody's.",
        class_="quiet",
    )


def _route(name: str, method: str, handler: Handler, scope: Scope) -> Route:
    return Route(
        name=f"page.{name}",
        method=method,
        path=path("/targets/{target}/logs"),
        handler=handler,
        shown=Shown.COOKIE,
        scope=scope,
    )
