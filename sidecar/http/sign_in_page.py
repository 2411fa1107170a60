"""The page on which people sign in with an API key, and the cookie they get for it."""

from http import HTTPStatus

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from desireline.sidecar.http.markup import Markup, element
from desireline.sidecar.http.page_frame import form, page, page_headers
from desireline.sidecar.http.refusals import ForbiddenError
from desireline.sidecar.http.requests import Call, form_fields
from desireline.sidecar.http.routes import Route, Shown, path
from desireline.sidecar.http.settings import HttpSettings
from desireline.sidecar.http.sign_ins import SignIn, SignIns
from desireline.sidecar.http.threads import Threads
from desireline.sidecar.on_request.api_keys import Scope

_log = structlog.get_logger(__name__)


class SignInPage:
    """Signs people in and out."""

    def __init__(self, sign_ins: SignIns, threads: Threads, settings: HttpSettings) -> None:
        self._sign_ins = sign_ins
        self._threads = threads
        self._settings = settings
        self._secure = settings.https or settings.tls
        # The prefix makes browsers refuse the cookie from anything but this very host.
        self._cookie = "__Host-desireline" if self._secure else "desireline"

    def routes(self) -> tuple[Route, ...]:
        """Return the routes of signing in and out."""
        login = path("/login")
        return (
            Route(
                name="page.login_form",
                method="GET",
                path=login,
                handler=self.ask,
                shown=Shown.NOTHING,
            ),
            Route(
                name="page.login",
                method="POST",
                path=login,
                handler=self.sign_in,
                shown=Shown.NOTHING,
            ),
            Route(
                name="page.logout",
                method="POST",
                path=path("/logout"),
                handler=self.sign_out,
                shown=Shown.COOKIE,
                scope=Scope.READ,
            ),
        )

    async def signed_in(self, request: Request) -> SignIn | None:
        """Return the sign-in whose cookie the request carries, or None."""
        token = request.cookies.get(self._cookie)
        return await self._threads.run(self._sign_ins.check, token) if token else None

    async def ask(self, _call: Call) -> Response:
        """Show the form."""
        return page("Sign in", _form())

    async def sign_in(self, call: Call) -> Response:
        """Give the browser a cookie for a key that may read."""
        require_same_site(call.request)
        plaintext = form_fields(call.body).get("key", "").strip()
        opened = await self._threads.run(self._sign_ins.open, plaintext)
        if opened is None or not opened.key.allows(Scope.READ):
            _log.warning("sign-in refused", known=opened is not None)
            wrong = (
                "This key may not read; make one with the scope read."
                if opened
                else "This key is unknown or was revoked."
            )
            return page("Sign in", _form(wrong), status=HTTPStatus.FORBIDDEN)
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER, page_headers())
        response.set_cookie(
            self._cookie,
            opened.token,
            max_age=int(self._settings.sign_in_hours * 3600),
            secure=self._secure,
            httponly=True,
            samesite="strict",
        )
        return response

    async def sign_out(self, call: Call) -> Response:
        """End the sign-in, here and in the store."""
        if call.sign_in is not None:
            await self._threads.run(self._sign_ins.close, call.sign_in.token)
        response = RedirectResponse("/login", HTTPStatus.SEE_OTHER, page_headers())
        response.delete_cookie(self._cookie, secure=self._secure, httponly=True, samesite="strict")
        return response


def require_our_form(call: Call) -> None:
    """Refuse a post that did not come from a form of this sign-in. Raises ForbiddenError."""
    require_same_site(call.request)
    token = form_fields(call.body).get("token", "")
    if call.sign_in is None or not call.sign_in.sent(token):
        raise ForbiddenError(
            "this form is not from the page that you are signed in to; nothing was changed",
            next_step="load the page again and repeat",
        )


def require_same_site(request: Request) -> None:
    """Refuse a post that the browser says another site made. Raises ForbiddenError."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ForbiddenError("this form was sent by another site; nothing was changed")


def _form(wrong: str = "") -> Markup:
    return element(
        "section",
        element("h1", "Sign in"),
        element("p", wrong, class_="warning", role="alert") if wrong else None,
        form(
            "/login",
            None,
            element("label", "API key", for_="key"),
            element(
                "input",
                id="key",
                name="key",
                type="password",
                autocomplete="off",
                required=True,
                autofocus=True,
                placeholder="dl_…",
            ),
            element("button", "Sign in"),
        ),
        element(
            "p",
            "Make one with ",
            element("code", "desireline keys create NAME --scope read"),
            class_="quiet",
        ),
        class_="sign-in",
    )
