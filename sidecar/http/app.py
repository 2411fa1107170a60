"""Every request: find its route, let it in or not, answer, count.

A plain ASGI callable without middleware, because the way of a search must be short.
"""

import re
import time
import traceback
from http import HTTPStatus
from pathlib import Path

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from desireline.connectors.errors import DesirelineError
from desireline.sidecar.http.admin import Admin
from desireline.sidecar.http.admission import Admission, SignInNeededError
from desireline.sidecar.http.embedded_search import EmbeddedSearch
from desireline.sidecar.http.embeddings import Embeddings
from desireline.sidecar.http.encoding import Encoding
from desireline.sidecar.http.intent import IntentAnswers
from desireline.sidecar.http.log_page import LogPage
from desireline.sidecar.http.models_page import ModelsPage
from desireline.sidecar.http.operations import Operations
from desireline.sidecar.http.page import Pages
from desireline.sidecar.http.page_frame import page_headers
from desireline.sidecar.http.probes import Probes
from desireline.sidecar.http.refusals import RequestRefusedError, refusal
from desireline.sidecar.http.routes import Handler, Route, Shown, find, path
from desireline.sidecar.http.run_page import RunPage
from desireline.sidecar.http.search import Search
from desireline.sidecar.http.settings import HttpSettings
from desireline.sidecar.http.sign_in_page import SignInPage
from desireline.sidecar.http.sign_ins import SignIns
from desireline.sidecar.http.steering import Steering
from desireline.sidecar.http.threads import Threads
from desireline.sidecar.http.upstream import Upstream
from desireline.sidecar.on_request.api_keys import ApiKeys, Scope
from desireline.sidecar.reports.telemetry import Metrics

_log = structlog.get_logger(__name__)


class UnexpectedError(RequestRefusedError):
    """The server failed where it should not have."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "internal_error"


def create_app(
    operations: Operations,
    keys: ApiKeys,
    settings: HttpSettings | None = None,
    metrics: Metrics | None = None,
) -> "App":
    """Return the ASGI application over one sidecar; it serves one event loop."""
    settings, metrics = settings or HttpSettings(), metrics or Metrics()
    threads, encoding = Threads(settings.threads), Encoding(settings, metrics)
    cluster = operations.cluster()
    upstream = None if cluster is None else Upstream(cluster, settings)
    embedded = EmbeddedSearch(operations, threads, settings, metrics)
    search = Search(operations, encoding, upstream, embedded, settings=settings, metrics=metrics)
    intent = IntentAnswers(operations, encoding, settings, metrics)
    sign_in_page = SignInPage(SignIns(keys, hours=settings.sign_in_hours), threads, settings)
    run_page = RunPage(operations, threads)
    pages = Pages(operations, threads, settings, silence=run_page.silence)
    routes = (
        *_application_routes(search, Embeddings(operations, encoding, settings), intent),
        *_admin_routes(Admin(operations, threads)),
        *Steering(operations, threads).routes(),
        *_probe_routes(Probes(operations, metrics)),
        *sign_in_page.routes(),
        *pages.routes(),
        *run_page.routes(),
        *LogPage(operations, threads).routes(),
        *ModelsPage(operations, threads).routes(),
    )
    admission = Admission(keys, sign_in_page, threads, settings)
    return App(
        routes,
        admission,
        pages,
        https=settings.https or settings.tls,
        metrics=metrics,
        owned=(threads, encoding, upstream),
    )


class App:
    """Answers every request of one server."""

    def __init__(
        self,
        routes: tuple[Route, ...],
        admission: Admission,
        pages: Pages,
        *,
        https: bool,
        metrics: Metrics,
        owned: tuple[Threads, Encoding, Upstream | None],
    ) -> None:
        self._routes = routes
        self._admission = admission
        self._pages = pages
        self._https = https
        self._metrics = metrics
        self._owned = owned

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server's start and end."""
        if scope["type"] == "lifespan":
            await self._follow_server(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        name, response = await self._answer(Request(scope, receive))
        response.headers["X-Content-Type-Options"] = "nosniff"
        if self._https:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        try:
            await response(scope, receive, send)
        finally:
            self._metrics.request(name, response.status_code, time.perf_counter() - started)

    async def _answer(self, request: Request) -> tuple[str, Response]:
        route: Route | None = None
        method = "GET" if request.method == "HEAD" else request.method
        try:
            route, arguments = find(self._routes, method, request.scope["path"])
            call = await self._admission.admit(route, request, dict(arguments))
            response = await route.handler(call)
        except SignInNeededError:
            response = RedirectResponse("/login", HTTPStatus.SEE_OTHER, page_headers())
        except DesirelineError as error:
            response = self._refusal(route, error)
        except Exception as error:  # noqa: BLE001 - the last border: no trace leaves the process
            _log_failure(route, error)
            sentence = "the server failed on this request; what serves is unchanged"
            response = self._refusal(route, UnexpectedError(sentence, next_step="see its log"))
        return (route.name if route else "none"), response

    def _refusal(self, route: Route | None, error: DesirelineError) -> Response:
        is_page = route is not None and route.is_page
        return self._pages.refusal(error) if is_page else refusal(error)

    async def _follow_server(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def close(self) -> None:
        """Release threads and connections."""
        threads, encoding, upstream = self._owned
        threads.close()
        encoding.close()
        if upstream is not None:
            await upstream.close()


def _log_failure(route: Route | None, error: Exception) -> None:
    # Only where and of which kind: messages and local variables may hold query text.
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    name = route.name if route else None
    _log.error("a request failed", route=name, error=type(error).__name__, where=where)


def _application_routes(
    search: Search, embeddings: Embeddings, intent: IntentAnswers
) -> tuple[Route, ...]:
    one, many = path("/{index}/_search"), path("/{index}/_msearch")
    return (
        _route("search", "POST", one, search.answer, Scope.SEARCH),
        _route("search", "GET", one, search.answer, Scope.SEARCH),
        _route("embeddings", "POST", path("/v1/embeddings"), embeddings.answer, Scope.EMBED),
        _route("intent", "POST", path("/v1/intent"), intent.answer, Scope.SEARCH),
        _route("intent", "GET", path("/v1/intent"), intent.answer, Scope.SEARCH),
        _route("msearch", "POST", many, search.refuse_many, Scope.SEARCH),
        _route("msearch", "GET", many, search.refuse_many, Scope.SEARCH),
        _route("msearch", "POST", path("/_msearch"), search.refuse_many, Scope.SEARCH),
        _route("msearch", "GET", path("/_msearch"), search.refuse_many, Scope.SEARCH),
    )


def _admin_routes(admin: Admin) -> tuple[Route, ...]:
    at = "/v1/targets/{target}"
    return (
        _route("targets", "GET", path("/v1/targets"), admin.targets, Scope.READ),
        _route("status", "GET", path(at), admin.status, Scope.READ),
        _route("generations", "GET", path(f"{at}/generations"), admin.generations, Scope.READ),
        _route("cycle", "GET", path(f"{at}/cycle"), admin.cycle, Scope.READ),
        _route("models", "GET", path(f"{at}/models"), admin.models, Scope.READ),
        _route("model", "GET", path(f"{at}/models/{{model}}"), admin.model, Scope.READ),
        _route("intent_standing", "GET", path(f"{at}/intent"), admin.intent, Scope.READ),
        _route("logs", "GET", path(f"{at}/logs"), admin.logs, Scope.READ),
        _route("read_logs", "POST", path(f"{at}/logs"), admin.read_logs, Scope.ADMIN),
        _route("tune", "POST", path(f"{at}/tune"), admin.tune, Scope.ADMIN),
    )


def _probe_routes(probes: Probes) -> tuple[Route, ...]:
    return (
        Route(
            name="healthz",
            method="GET",
            path=path("/healthz"),
            handler=probes.health,
            shown=Shown.NOTHING,
        ),
        Route(
            name="metrics",
            method="GET",
            path=path("/metrics"),
            handler=probes.metrics,
            shown=Shown.NOTHING,
        ),
    )


def _route(name: str, method: str, path: re.Pattern[str], handler: Handler, scope: Scope) -> Route:
    return Route(name=name, method=method, path=path, handler=handler, scope=scope)
