"""Who is let in: an API key in a header, or the cookie of a sign-in."""

from starlette.requests import Request

from desireline.sidecar.http.refusals import ForbiddenError, UnauthenticatedError
from desireline.sidecar.http.requests import Call, bearer, read_body
from desireline.sidecar.http.routes import Route, Shown
from desireline.sidecar.http.settings import HttpSettings
from desireline.sidecar.http.sign_in_page import SignInPage, require_our_form
from desireline.sidecar.http.threads import Threads
from desireline.sidecar.on_request.api_keys import ApiKeys, Key

_LONGEST_KEY = 200


class SignInNeededError(UnauthenticatedError):
    """A page was asked for by someone who is not signed in."""


class Admission:
    """Lets requests in. A cookie never opens an API route, nor a key a page."""

    def __init__(
        self, keys: ApiKeys, sign_in_page: SignInPage, threads: Threads, settings: HttpSettings
    ) -> None:
        self._keys = keys
        self._sign_in_page = sign_in_page
        self._threads = threads
        self._settings = settings

    async def admit(self, route: Route, request: Request, arguments: dict[str, str]) -> Call:
        """Return the request with its body and proof; the body is read only once let in.

        Raises:
            SignInNeededError: a page, and nobody is signed in.
            UnauthenticatedError: no key, or an unknown one.
            ForbiddenError: the key does not open this route, or a form is not ours.

        """
        key = sign_in = None
        if route.shown is Shown.COOKIE:
            sign_in = await self._sign_in_page.signed_in(request)
            if sign_in is None:
                raise SignInNeededError("nobody is signed in")
            _require(sign_in.key, route)
        elif route.shown is Shown.KEY:
            key = await self._key(request)
            _require(key, route)
        body = await read_body(request, self._settings)
        call = Call(request=request, body=body, arguments=arguments, key=key, sign_in=sign_in)
        if sign_in is not None and route.method == "POST":
            require_our_form(call)
        return call

    async def _key(self, request: Request) -> Key:
        plaintext = bearer(request)
        if plaintext is None:
            raise UnauthenticatedError(
                "the request carries no API key",
                next_step="send it as `Authorization: Bearer dl_…` or `X-API-Key: dl_…`",
            )
        known, key = self._keys.remembered(plaintext)
        if not known and len(plaintext) <= _LONGEST_KEY:
            key = await self._threads.run(self._keys.check, plaintext)
        if key is None:
            raise UnauthenticatedError("the API key is unknown or was revoked")
        return key


def _require(key: Key, route: Route) -> None:
    if route.scope is not None and not key.allows(route.scope):
        raise ForbiddenError(
            f"the API key {key.name!r} does not open this; it needs the scope {route.scope}"
        )
