"""Which path is answered by whom, and what the caller must show."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from starlette.responses import Response

from desireline.sidecar.http.refusals import MethodNotAllowedError, NotFoundError
from desireline.sidecar.http.requests import Call
from desireline.sidecar.on_request.api_keys import Scope

Handler = Callable[[Call], Awaitable[Response]]


class Shown(StrEnum):
    """How a caller proves who it is."""

    #: It need not.
    NOTHING = "nothing"
    #: An API key in a header.
    KEY = "key"
    #: The cookie of a sign-in and, to change anything, the token of our form.
    COOKIE = "cookie"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method and path."""

    #: Stable, without anything a caller chose; the label in metrics and logs.
    name: str
    method: str
    path: re.Pattern[str]
    handler: Handler
    shown: Shown = Shown.KEY
    scope: Scope | None = None

    @property
    def is_page(self) -> bool:
        """Whether a person reads the answer."""
        return self.shown is Shown.COOKIE or self.name.startswith("page.")


def path(template: str) -> re.Pattern[str]:
    """Return the pattern of a path in which ``{name}`` stands for one segment."""
    parts = re.split(r"\{(\w+)\}", template)
    literal = [re.escape(part) for part in parts[::2]]
    named = [f"(?P<{name}>[^/]+)" for name in parts[1::2]]
    return re.compile("".join(a + b for a, b in zip(literal, [*named, ""], strict=True)))


def find(routes: Sequence[Route], method: str, path: str) -> tuple[Route, Mapping[str, str]]:
    """Return the route of a request and the named parts of its path.

    Raises:
        NotFoundError: no route has this path.
        MethodNotAllowedError: one has, for another method.

    """
    others: list[str] = []
    for route in routes:
        match = route.path.fullmatch(path)
        if match is None:
            continue
        if route.method == method:
            return route, match.groupdict()
        others.append(route.method)
    if others:
        raise MethodNotAllowedError(
            f"this path is not answered for {method}",
            next_step=f"use {' or '.join(sorted(set(others)))}",
        )
    raise NotFoundError(
        "there is nothing at this path",
        next_step="searches go to /{index}/_search, vectors to /v1/embeddings, the rest is at /",
    )
