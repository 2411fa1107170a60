"""The page of a run: step, bar, rate, time left, why it waits, and the operator's buttons."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from desireline.sidecar.configuration.durations import format_duration
from desireline.sidecar.http.admin import audit, known_target
from desireline.sidecar.http.cycle_section import cycle_section, under_way
from desireline.sidecar.http.markup import Child, Markup, element
from desireline.sidecar.http.operations import Operations
from desireline.sidecar.http.page_frame import form, page
from desireline.sidecar.http.page_parts import NOTHING, span, state_mark
from desireline.sidecar.http.refusals import RequestRefusedError
from desireline.sidecar.http.requests import Call, form_fields
from desireline.sidecar.http.routes import Handler, Route, Shown, path
from desireline.sidecar.http.sign_ins import SignIn
from desireline.sidecar.http.threads import Threads
from desireline.sidecar.on_request.api_keys import Scope
from desireline.sidecar.steering.controls import Wish
from desireline.sidecar.steering.hand import under_way as run_under_way
from desireline.sidecar.steering.run_status import Pulse

_REFRESH_S = 3
#: An owner says more often than this that it lives.
_SILENT_S = 60.0
_WORDS = {
    Wish.PAUSE: "Pause",
    Wish.RESUME: "Resume",
    Wish.POSTPONE: "Postpone the cut-over",
    Wish.CUT_OVER: "Cut over",
    Wish.CANCEL: "Cancel this run",
}


class RunPage:
    """Shows a run and takes what its buttons say. Without scripts: the page loads itself again."""

    def __init__(
        self, operations: Operations, threads: Threads, pulse: Callable[[], Pulse] = Pulse
    ) -> None:
        self._operations = operations
        self._threads = threads
        self._pulse = pulse
        self._pulses: dict[str, Pulse] = {}

    def routes(self) -> tuple[Route, ...]:
        """Return the routes of the page."""
        return (
            _route("run", "GET", self.look, Scope.READ),
            _route("steer", "POST", self.steer, Scope.ADMIN),
        )

    async def look(self, call: Call) -> Response:
        """Show where the run stands."""
        return await self._show(call, known_target(self._operations, call))

    async def steer(self, call: Call) -> Response:
        """Do what a button says; a repeated click is answered and changes nothing."""
        target = known_target(self._operations, call)
        fields = form_fields(call.body)
        wish = next((each for each in _WORDS if each.value == fields.get("wish")), None)
        if wish is None:
            raise RequestRefusedError("this page has no such button; nothing was done")
        who = call.sign_in.key.name if call.sign_in else "nobody"
        run = fields.get("run") or None
        answer = await self._threads.run(
            self._operations.steer, target, wish, by=f"{who} on the page", run=run
        )
        audit(f"{wish} on the page", call, target)
        return await self._show(call, target, answer.sentence)

    async def _show(self, call: Call, target: str, note: str = "") -> Response:
        view = await self._threads.run(self._operations.run, target)
        cycle = await self._threads.run(self._operations.last_cycle, target)
        tuning, going = under_way(cycle), run_under_way(view)
        shown = [
            run_section(view, call.sign_in, heading="h1") or _no_run(target),
            cycle_section(target, cycle, watch=False, progress=not going) if tuning else None,
        ]
        here = f"/targets/{quote(target, safe='')}"
        return page(
            f"Run of {target}",
            element("p", note, class_="note", role="status") if note else None,
            self.silence(view, cycle),
            shown[::-1] if tuning and not going else shown,
            element("p", element("a", f"To {target}", href=here)),
            sign_in=call.sign_in,
            refresh=f"{_REFRESH_S}; url={here}/run" if going or tuning else None,
        )

    def silence(self, view: Mapping[str, Any], cycle: Mapping[str, Any] | None) -> Markup | None:
        """Say for how long the owner has shown no life, as far as the pages were looked at."""
        going, tuning = run_under_way(view), under_way(cycle)
        beat = view["beat"] if going else cycle.get("beat") if cycle and tuning else None
        if beat is None:
            return None
        silent_s = self._pulses.setdefault(view["target"], self._pulse()).silent_s(beat)
        if silent_s < _SILENT_S:
            return None
        told = (
            f"Its process has shown no sign of life for {format_duration(silent_s)}. If it was"
            " killed, the same command goes on where it stopped."
        )
        return element("p", told, class_="warning", role="status")


def run_section(
    view: Mapping[str, Any], sign_in: SignIn | None, *, heading: str = "h2"
) -> Markup | None:
    """Return where a run stands; nothing before the first."""
    run = view["run"]
    if run is None:
        return None
    may = sign_in is not None and sign_in.key.allows(Scope.ADMIN)
    going = run_under_way(view)
    title: list[Child] = [
        f"Run of {view['target']}" if heading == "h1" else "Run" if going else "Last run",
        " ",
        state_mark(view["state"]),
        element("small", span(run["started_at"], run["ended_at"])),
    ]
    return element(
        "section",
        element(heading, title),
        _bar(run) if going else None,
        element("p", _sentence(view), class_="reason"),
        _figures(view) if going else None,
        _buttons(view, sign_in) if may and going else None,
        _watch(view) if going and heading != "h1" else None,
        class_="run",
    )


def _sentence(view: Mapping[str, Any]) -> str:
    """Return what the mark beside the heading does not say already."""
    return str(view["sentence"]).removeprefix(f"{view['state']}: ")


def _no_run(target: str) -> Markup:
    none = element("p", "No documents have been embedded by a run yet.", class_="quiet")
    return element("section", element("h1", f"Run of {target}"), none, class_="run")


def _bar(run: Mapping[str, Any]) -> Markup | None:
    if not run["total"]:
        return None
    return element(
        "progress",
        f"{run['done']:,} of {run['total']:,}",
        max=run["total"],
        value=min(run["done"], run["total"]),
        aria_label=str(run["counting"]),
    )


def _figures(view: Mapping[str, Any]) -> Markup:
    run, limit = view["run"], view["control"]["documents_a_second"]
    rows = {
        "Step": run["step"] or NOTHING,
        "Rate": "not known yet" if run["rate"] is None else _rate(run["rate"], ",.0f"),
        "Limit": "none" if limit is None else _rate(limit, "g"),
        "Waits": view["why_paused"] or run["throttled"] or _last_wait(view),
        "Cut-over": view["why_postponed"] or "as soon as everything is proved",
        "Owner": f"{run['host']}, process {run['pid']}",
    }
    cells = [[element("dt", name), element("dd", str(text))] for name, text in rows.items()]
    return element("dl", cells, class_="steps")


def _rate(rate: float, form: str) -> str:
    told = format(rate, form)
    return f"{told} document{'' if told == '1' else 's'} a second"


def _last_wait(view: Mapping[str, Any]) -> str:
    run = view["run"]
    done = run["total"] and run["done"] >= run["total"]
    return "for the cut-over to be let go on" if done and view["why_postponed"] else "for nothing"


def _buttons(view: Mapping[str, Any], sign_in: SignIn | None) -> Markup:
    control = view["control"]
    wishes = [
        Wish.RESUME if control["paused"] else Wish.PAUSE,
        Wish.CUT_OVER if control["postponed"] else Wish.POSTPONE,
        *([] if control["cancelled"] else [Wish.CANCEL]),
    ]
    return element("div", [_button(view, sign_in, wish) for wish in wishes], class_="choice")


def _button(view: Mapping[str, Any], sign_in: SignIn | None, wish: Wish) -> Markup:
    run = element("input", type="hidden", name="run", value=str(view["run"]["run"]))
    return form(
        f"/targets/{quote(view['target'], safe='')}/run",
        sign_in,
        element("input", type="hidden", name="wish", value=wish.value),
        run if wish is Wish.CANCEL else None,
        element("button", _WORDS[wish], class_="danger" if wish is Wish.CANCEL else wish.value),
    )


def _watch(view: Mapping[str, Any]) -> Markup:
    address = f"/targets/{quote(view['target'], safe='')}/run"
    return element("p", element("a", "Watch it go", href=address))


def _route(name: str, method: str, handler: Handler, scope: Scope) -> Route:
    return Route(
        name=f"page.{name}",
        method=method,
        path=path("/targets/{target}/run"),
        handler=handler,
        shown=Shown.COOKIE,
        scope=scope,
    )
