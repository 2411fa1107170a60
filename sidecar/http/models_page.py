"""The pages of a target's encoders: a list of them, and the card of each."""

from collections.abc import Sequence
from urllib.parse import quote

from starlette.responses import Response

from desireline.sidecar.http.admin import known_target
from desireline.sidecar.http.line_picture import line_picture
from desireline.sidecar.http.markup import Child, Markup, element
from desireline.sidecar.http.measures_table import measures_table
from desireline.sidecar.http.operations import Operations
from desireline.sidecar.http.page_frame import page
from desireline.sidecar.http.page_parts import moment, small, spoken, state_mark, table
from desireline.sidecar.http.requests import Call
from desireline.sidecar.http.routes import Handler, Route, Shown, path
from desireline.sidecar.http.threads import Threads
from desireline.sidecar.models.card import CLICKS
from desireline.sidecar.models.description import ModelDescription, find
from desireline.sidecar.models.facts import SHORT, Fact, LoadingStep
from desireline.sidecar.on_request.api_keys import Scope
from desireline.sidecar.reports.reporting import as_sentence

#: Shown as a picture instead.
_LINE = "line"
_TITLES = ("Encoder", "State", "Made", "Size", "Verdict")


class ModelsPage:
    """Shows the encoders that a target has to do with."""

    def __init__(self, operations: Operations, threads: Threads) -> None:
        self._operations = operations
        self._threads = threads

    def routes(self) -> tuple[Route, ...]:
        """Return the routes of the pages."""
        at = "/targets/{target}/models"
        return (_route("models", at, self.models), _route("model", at + "/{model}", self.model))

    async def models(self, call: Call) -> Response:
        """List them, newest first."""
        target = known_target(self._operations, call)
        found = await self._threads.run(self._operations.models_of, target)
        live = next((model for model in found if model.state == "live"), None)
        here = address(target)
        return page(
            f"Encoders of {target}",
            element(
                "section",
                element("h1", f"Encoders of {target}"),
                _serving(live, here) if live is not None else _none_serves(target),
                _list(found, here) if found else None,
            ),
            _back(target),
            sign_in=call.sign_in,
        )

    async def model(self, call: Call) -> Response:
        """Show the card of one."""
        target = known_target(self._operations, call)
        found = await self._threads.run(self._operations.models_of, target)
        model = find(found, call.arguments["model"])
        here = address(target)
        return page(
            f"Encoder {model.fingerprint[:SHORT]} of {target}",
            _heading(model, here),
            _judged(model),
            _facts(model, here, {each.fingerprint for each in found}),
            _loading(model),
            _served(model),
            _files(model),
            element("p", element("a", f"All encoders of {target}", href=here)),
            sign_in=call.sign_in,
        )


def address(target: str) -> str:
    """Return where the encoders of a target are listed."""
    return f"/targets/{quote(target, safe='')}/models"


def _serving(live: ModelDescription, here: str) -> list[Child]:
    return [
        element("p", "What serves was made in this line:", class_="quiet"),
        line_picture(live.line, here),
    ]


def _none_serves(target: str) -> Markup:
    command = element("code", f"desireline reindex {target}")
    return element("p", "No encoder serves yet; ", command, " brings the first.", class_="quiet")


def _list(found: Sequence[ModelDescription], here: str) -> Markup:
    return table(_TITLES, [_row(model, here) for model in found], class_="models")


def _row(model: ModelDescription, here: str) -> Markup:
    short = model.fingerprint[:SHORT]
    link = element("a", element("code", short), href=f"{here}/{short}")
    numbers = ", ".join(str(generation.number) for generation in model.generations)
    plural = "s" if len(model.generations) > 1 else ""
    cells: list[Child] = [
        [state_mark(model.state), small(numbers and f"generation{plural} {numbers}")],
        [element("span", _at(model), class_="nowrap"), small(model.origin)],
        element("span", model.size, class_="nowrap"),
        as_sentence(model.verdict),
    ]
    named = [
        element("td", element("span", title, class_="label"), cell)
        for title, cell in zip(_TITLES[1:], cells, strict=True)
    ]
    return element("tr", element("th", link, scope="row"), named)


def _heading(model: ModelDescription, here: str) -> Markup:
    return element(
        "section",
        element("h1", model.title, " ", state_mark(model.state)),
        element("p", f"made {_at(model)}, {model.size}", class_="quiet"),
        element("p", as_sentence(model.judgement), class_="reason"),
        line_picture(model.line, here, here=model.fingerprint) if len(model.line) > 1 else None,
        class_="card",
    )


def _judged(model: ModelDescription) -> Markup | None:
    if not model.measures:
        return None
    told = {
        **model.figures(),
    }
    note = element("p", CLICKS, class_="quiet")
    return element("section", element("h2", "Before and after"), measures_table(told), note)


def _facts(model: ModelDescription, here: str, known: set[str]) -> Markup:
    rows = [
        [element("dt", fact.name), element("dd", _fact(fact, here, known))]
        for fact in model.facts
        if fact.name != _LINE
    ]
    return element("section", element("h2", "What it is"), element("dl", rows, class_="steps"))


def _fact(fact: Fact, here: str, known: set[str]) -> Child:
    """Return the words of a fact; a model that has a page here is a link to it."""
    named = fact.model if fact.model in fact.text else fact.model[:SHORT]
    if fact.name == "fingerprint":
        return element("code", fact.text)
    if fact.model not in known or named not in fact.text:
        return fact.text
    before, _, after = fact.text.partition(named)
    link = element("a", element("code", named), href=f"{here}/{fact.model[:SHORT]}")
    return [before, link, after]


def _loading(model: ModelDescription) -> Markup:
    export = LoadingStep(code=f"desireline models export {model.fingerprint[:SHORT]} ./encoder")
    steps = [export, *model.loading("./encoder")]
    shown = [
        [
            element("p", spoken(step.sentence)) if step.sentence else None,
            element("pre", element("code", step.code), tabindex="0") if step.code else None,
        ]
        for step in steps
    ]
    return element("section", element("h2", "How to load it"), shown)


def _served(model: ModelDescription) -> Markup:
    none = element("p", "Nowhere yet.", class_="quiet")
    rows = element("ul", [element("li", each) for each in model.served])
    return element("section", element("h2", "Where it served"), rows if model.served else none)


def _files(model: ModelDescription) -> Markup:
    rows = [
        element(
            "tr",
            element("th", name, scope="row"),
            element("td", f"{file.bytes:,}", class_="number"),
            element("td", element("code", file.sha256)),
        )
        for name, file in model.record.manifest.files.items()
    ]
    files = table(("File", "Bytes", "SHA-256"), rows, class_="files")
    return element("section", element("h2", "Files"), files)


def _at(model: ModelDescription) -> str:
    return moment(model.record.manifest.created_at.isoformat())


def _back(target: str) -> Markup:
    home = f"/targets/{quote(target, safe='')}"
    return element("p", element("a", f"To {target}", href=home))


def _route(name: str, template: str, handler: Handler) -> Route:
    return Route(
        name=f"page.{name}",
        method="GET",
        path=path(template),
        handler=handler,
        shown=Shown.COOKIE,
        scope=Scope.READ,
    )
