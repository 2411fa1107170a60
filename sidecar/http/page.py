"""The pages for people: sign in, see the targets, try a query, revert. Without scripts."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from desireline.connectors.errors import DesirelineError
from desireline.sidecar.errors import NoGenerationError
from desireline.sidecar.http import page_parts as parts
from desireline.sidecar.http.admin import audit, known_target
from desireline.sidecar.http.changes_section import changes_section
from desireline.sidecar.http.cycle_section import cycle_section
from desireline.sidecar.http.intent_section import intent_section
from desireline.sidecar.http.ladder_section import ladder_section
from desireline.sidecar.http.log_page import log_section
from desireline.sidecar.http.markup import Markup, element
from desireline.sidecar.http.models_page import address as models_address
from desireline.sidecar.http.operations import Operations
from desireline.sidecar.http.page_frame import asset, form, page, paragraphs
from desireline.sidecar.http.parts_section import parts_section
from desireline.sidecar.http.refusals import RequestRefusedError, status_of
from desireline.sidecar.http.requests import Call, form_fields
from desireline.sidecar.http.routes import Route, Shown, path
from desireline.sidecar.http.run_page import run_section
from desireline.sidecar.http.settings import HttpSettings
from desireline.sidecar.http.sign_ins import SignIn
from desireline.sidecar.http.threads import Threads
from desireline.sidecar.on_request.api_keys import Scope
from desireline.sidecar.reports.reporting import as_sentence
from desireline.sidecar.steering.hand import under_way

_TRIED = 10
_FORWARD = "Go forward again"


class Pages:
    """The pages about targets."""

    def __init__(
        self,
        operations: Operations,
        threads: Threads,
        settings: HttpSettings,
        *,
        silence: Callable[[Mapping[str, Any], Mapping[str, Any] | None], Markup | None],
    ) -> None:
        self._operations = operations
        self._threads = threads
        self._settings = settings
        #: Tells of a run or a cycle whose owner shows no life.
        self._silence = silence

    def routes(self) -> tuple[Route, ...]:
        """Return the routes of the pages."""
        read, admin = Scope.READ, Scope.ADMIN
        at = "/targets/{target}"
        return (
            _route("home", "GET", "/", self.home, read),
            _route("target", "GET", at, self.target, read),
            _route("try", "POST", at + "/try", self.try_query, read),
            _route("ask_revert", "GET", at + "/revert", self.ask_revert, admin),
            _route("revert", "POST", at + "/revert", self.revert, admin),
            Route(
                name="page.asset",
                method="GET",
                path=path("/static/{name}"),
                handler=asset,
                shown=Shown.NOTHING,
            ),
        )

    async def home(self, call: Call) -> Response:
        """Show the only target, or all of them to choose from."""
        targets = self._operations.targets()
        if len(targets) == 1:
            return await self._show(call, targets[0])
        none = "No target is configured yet; write one with desireline init."
        cards = element("ul", [self._card(target) for target in targets], class_="cards")
        content = cards if targets else element("p", none)
        return page("Targets", element("h1", "Targets"), content, sign_in=call.sign_in)

    async def target(self, call: Call) -> Response:
        """Show one target."""
        return await self._show(call, known_target(self._operations, call))

    async def try_query(self, call: Call) -> Response:
        """Show what the live and the retained generation answer to a query."""
        target = known_target(self._operations, call)
        text = form_fields(call.body).get("text", "").strip()
        if not text or len(text) > self._settings.max_text_characters:
            raise RequestRefusedError("type a query of at least one word", parameter="text")
        found = await self._threads.run(self._operations.search, target, text, _TRIED)
        kept = await self._threads.run(self._operations.search_retained, target, text, _TRIED)
        columns = [parts.answers("Live", *found, marks=parts.moves(found[1], kept and kept[1]))]
        if kept is not None:
            columns.append(parts.answers("Before", *kept, marks=parts.losses(kept[1], found[1])))
        return await self._show(call, target, text, element("div", columns, class_="columns"))

    async def ask_revert(self, call: Call) -> Response:
        """Say what a revert would do and ask."""
        target = known_target(self._operations, call)
        generations = await self._threads.run(self._operations.generations, target)
        back = _retained(generations)
        if back is None:
            return page(
                "Nothing to revert to",
                element(
                    "section",
                    element("h1", "Nothing to revert to"),
                    paragraphs(f"{target} keeps no earlier generation at present."),
                    _back(target, "Back"),
                ),
                sign_in=call.sign_in,
            )
        way = _way_back(generations)
        confirm = form(
            f"{_address(target)}/revert",
            call.sign_in,
            element("input", type="hidden", name="generation", value=back),
            element("button", f"{way} to generation {back}", class_="danger"),
            _back(target, "Keep what is live"),
            class_="choice",
        )
        return page(
            "Revert",
            element(
                "section",
                element("h1", f"{way} with {target}?" if way == _FORWARD else f"Revert {target}?"),
                paragraphs(
                    f"Queries will be answered by generation {back} from the next one on. It has"
                    " been kept fresh, so no document is missing. Nothing is embedded again and no"
                    " search fails.",
                ),
                confirm,
            ),
            sign_in=call.sign_in,
        )

    async def revert(self, call: Call) -> Response:
        """Revert, if what was confirmed is still what would happen."""
        target = known_target(self._operations, call)
        generations = await self._threads.run(self._operations.generations, target)
        back = _retained(generations)
        confirmed = form_fields(call.body).get("generation")
        if str(back) != confirmed:
            raise RequestRefusedError(
                "the generations changed since the question was asked; nothing was reverted",
                next_step="look at the target again",
            )
        sentence = await self._threads.run(self._operations.revert, target, back)
        audit("reverted on the page", call, target)
        return await self._show(call, target, note=sentence)

    async def _show(
        self,
        call: Call,
        target: str,
        text: str = "",
        answers: Markup | None = None,
        note: str = "",
    ) -> Response:
        generations = await self._threads.run(self._operations.generations, target)
        report = await self._threads.run(self._operations.last_cycle, target)
        run = await self._threads.run(self._operations.run, target)
        status = await self._threads.run(self._operations.status, target)
        logs = await self._threads.run(self._operations.log_report, target)
        intent = await self._threads.run(self._operations.intent_standing, target)
        going = under_way(run)
        return page(
            target,
            element("p", note, class_="note", role="status") if note else None,
            self._summary(call, target, generations, _kept(status)),
            self._silence(run, report),
            run_section(run, call.sign_in),
            _try_form(call.sign_in, target, text) if _live(generations) is not None else None,
            answers,
            cycle_section(target, report, generations, watch=not going, progress=not going),
            ladder_section(report or {}),
            parts_section(report or {}),
            changes_section(report or {}),
            intent_section(intent),
            log_section(target, logs),
            _generations(target, generations),
            sign_in=call.sign_in,
        )

    def _summary(
        self, call: Call, target: str, generations: Sequence[dict[str, Any]], kept: Markup | None
    ) -> Markup:
        back = _retained(generations)
        may = call.sign_in is not None and call.sign_in.key.allows(Scope.ADMIN)
        button = element(
            "a",
            f"{_way_back(generations)} to generation {back} …",
            href=f"{_address(target)}/revert",
            class_="button",
        )
        return element(
            "section",
            element("div", element("h1", target), self._serving(target), kept),
            button if may and back is not None else None,
            class_="summary",
        )

    def _serving(self, target: str) -> Markup:
        try:
            live = self._operations.live(target)
        except NoGenerationError as error:
            steps = f"{error}; {error.next_step}" if error.next_step else str(error)
            return element("p", f"{steps}.", class_="lacks")
        except DesirelineError as error:
            return element("p", str(error), class_="warning")
        return element(
            "p",
            element("strong", f"Generation {live.number} is live"),
            " in ",
            element("code", live.slot),
            " of ",
            element("code", live.index),
            f", with the vectors of generation {live.vectors_of}" if live.vectors_of else None,
        )

    def _card(self, target: str) -> Markup:
        link = element("a", target, href=_address(target))
        return element("li", element("h2", link), self._serving(target))

    def refusal(self, error: DesirelineError, sign_in: SignIn | None = None) -> Response:
        """Return an error as a page."""
        status = status_of(error)
        title = HTTPStatus(status).phrase
        lines = paragraphs(as_sentence(str(error)))
        step = (
            element("p", "Next: ", parts.spoken(f"{error.next_step}.")) if error.next_step else None
        )
        home = element("p", element("a", "To the targets", href="/"))
        content = element("section", element("h1", title), lines, step, home)
        return page(title, content, sign_in=sign_in, status=status)


def _route(name: str, method: str, template: str, handler: Any, scope: Scope) -> Route:
    return Route(
        name=f"page.{name}",
        method=method,
        path=path(template),
        handler=handler,
        shown=Shown.COOKIE,
        scope=scope,
    )


def _generations(target: str, generations: Sequence[dict[str, Any]]) -> Markup:
    none = element("p", "No generation has been built yet.", class_="quiet")
    models = models_address(target)
    content = parts.generations_table(generations, models) if generations else none
    link = element("p", element("a", "The encoders, each with its card", href=models))
    return element("section", element("h2", "Generations"), content, link)


def _try_form(sign_in: SignIn | None, target: str, text: str) -> Markup:
    box = element(
        "input",
        type="search",
        name="text",
        value=text,
        placeholder="Try a query",
        aria_label="Query",
        required=True,
        autocomplete="off",
    )
    return form(f"{_address(target)}/try", sign_in, box, element("button", "Search"), class_="try")


def _kept(status: Mapping[str, Any]) -> Markup | None:
    """Say until when there is a way back, or that it was gone."""
    pointer = status.get("pointer") or {}
    live, kept = pointer.get("generation"), pointer.get("previous")
    if kept is None:
        return None
    ready = f"generation {kept} stays ready until {parts.moment(pointer.get('hold_until'))}"
    if kept < live:
        return element("p", f"For a revert {ready}.", class_="quiet")
    when = parts.moment(pointer.get("changed_at"))
    return element("p", f"Reverted from generation {kept} at {when}; {ready}.", class_="lacks")


def _live(generations: Sequence[dict[str, Any]]) -> int | None:
    return next((found["number"] for found in generations if found["state"] == "live"), None)


def _way_back(generations: Sequence[dict[str, Any]]) -> str:
    """Say which way the retained generation lies: what was reverted from is newer."""
    live, kept = _live(generations), _retained(generations)
    return _FORWARD if live is not None and kept is not None and kept > live else "Revert"


def _retained(generations: Sequence[dict[str, Any]]) -> int | None:
    return next((found["number"] for found in generations if found["state"] == "retained"), None)


def _address(target: str) -> str:
    return f"/targets/{quote(target, safe='')}"


def _back(target: str, words: str) -> Markup:
    return element("a", words, href=_address(target))
