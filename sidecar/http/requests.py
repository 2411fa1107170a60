"""The body and the key of a request, read within limits."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import ClientDisconnect, Request

from desireline.sidecar.http.refusals import RequestRefusedError, TooLargeError
from desireline.sidecar.http.settings import HttpSettings
from desireline.sidecar.http.sign_ins import SignIn
from desireline.sidecar.on_request.api_keys import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that was let in."""

    request: Request
    body: bytes
    #: Parts of the path, by name.
    arguments: Mapping[str, str]
    #: None on open routes.
    key: Key | None = None
    #: None unless the route is a page that was reached by a cookie.
    sign_in: SignIn | None = None


def bearer(request: Request) -> str | None:
    """Return the API key that the request carries, or None."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and value.strip():
        return value.strip()
    return request.headers.get("x-api-key", "").strip() or None


async def read_body(request: Request, settings: HttpSettings) -> bytes:
    """Return the whole body.

    Raises:
        TooLargeError: it is longer than the limit; what follows was not read.
        RequestRefusedError: the caller stopped sending, or sent too slowly.

    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > settings.max_body_bytes:
        raise _too_large(settings)
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            return await _read(request, settings)
    except TimeoutError as error:
        raise RequestRefusedError(
            f"the body of the request did not arrive within {settings.body_timeout_s:g} s"
        ) from error
    except ClientDisconnect as error:
        raise RequestRefusedError("the caller went away before the body had arrived") from error


async def _read(request: Request, settings: HttpSettings) -> bytes:
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > settings.max_body_bytes:
            raise _too_large(settings)
    return bytes(received)


def _too_large(settings: HttpSettings) -> TooLargeError:
    return TooLargeError(
        f"the body of the request is longer than {settings.max_body_bytes:,} bytes",
        next_step="send less at a time",
    )


def json_object(body: bytes) -> dict[str, Any]:
    """Return the body as a JSON object. Raises RequestRefusedError when it is none."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestRefusedError(f"the body of the request is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise RequestRefusedError("the body of the request is not a JSON object")
    return parsed


def form_fields(body: bytes) -> dict[str, str]:
    """Return the fields of a form; the last of several with one name."""
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=32)
    return dict(pairs)
