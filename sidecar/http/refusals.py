"""Requests that cannot be answered, and the HTTP status of every error."""

from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

from desireline.connectors import errors as connectors
from desireline.connectors.errors import DesirelineError
from desireline.sidecar import errors as sidecar
from desireline.sidecar.steering.controls import RateError


class RequestRefusedError(DesirelineError):
    """The request cannot be answered as it was sent."""

    status = HTTPStatus.BAD_REQUEST
    code = "invalid_request"

    def __init__(self, message: str, *, next_step: str = "", parameter: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        #: The part of the request that is wrong.
        self.parameter = parameter


class UnauthenticatedError(RequestRefusedError):
    """The request carries no API key, or one unknown or revoked."""

    status = HTTPStatus.UNAUTHORIZED
    code = "invalid_api_key"


class ForbiddenError(RequestRefusedError):
    """The API key does not open this."""

    status = HTTPStatus.FORBIDDEN
    code = "insufficient_scope"


class NotFoundError(RequestRefusedError):
    """There is nothing of this name."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class MethodNotAllowedError(RequestRefusedError):
    """The path exists but not for this method."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = "method_not_allowed"


class SpaceConflictError(RequestRefusedError):
    """The encoder that was named is not the live one; no vector was made."""

    status = HTTPStatus.CONFLICT
    code = "generation_conflict"


class TooLargeError(RequestRefusedError):
    """The request is larger than the server takes."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "too_large"


class BusyError(RequestRefusedError):
    """Too many texts wait for the encoder."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "busy"


class UpstreamError(DesirelineError):
    """The cluster behind the sidecar did not give an answer that can be passed on."""

    def __init__(self, message: str, *, status: HTTPStatus, next_step: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.status = status


#: The first class that fits decides.
_STATUS: tuple[tuple[type[DesirelineError], HTTPStatus], ...] = (
    (connectors.IndexMissingError, HTTPStatus.NOT_FOUND),
    (connectors.FieldMissingError, HTTPStatus.NOT_FOUND),
    (connectors.StateConflictError, HTTPStatus.CONFLICT),
    (connectors.WriteBlockedError, HTTPStatus.CONFLICT),
    (connectors.EngineUnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
    (connectors.ConnectorError, HTTPStatus.BAD_GATEWAY),
    (sidecar.TargetUnknownError, HTTPStatus.NOT_FOUND),
    (sidecar.EncoderUnknownError, HTTPStatus.NOT_FOUND),
    (RateError, HTTPStatus.BAD_REQUEST),
    (sidecar.NothingNamedError, HTTPStatus.BAD_REQUEST),
    (sidecar.NoGenerationError, HTTPStatus.SERVICE_UNAVAILABLE),
)


def status_of(error: DesirelineError) -> HTTPStatus:
    """Return the status of an error; where none is named, the target's state forbids it."""
    if isinstance(error, RequestRefusedError | UpstreamError):
        return error.status
    for family, status in _STATUS:
        if isinstance(error, family):
            return status
    return HTTPStatus.CONFLICT


def refusal(error: DesirelineError) -> Response:
    """Answer an error in the shape that OpenAI's and OpenSearch's clients both read."""
    status = status_of(error)
    kind = "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
    code = error.code if isinstance(error, RequestRefusedError) else _code(error)
    parameter = error.parameter if isinstance(error, RequestRefusedError) else None
    message = str(error)
    body: dict[str, Any] = {
        "error": {
            "message": f"{message}: {error.next_step}" if error.next_step else message,
            "type": kind,
            "param": parameter,
            "code": code,
            "reason": message,
            "root_cause": [{"type": code, "reason": message}],
            "next_step": error.next_step,
        },
        "status": int(status),
    }
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        headers["Retry-After"] = "1"
    return Response(orjson.dumps(body), status, headers, "application/json")


def _code(error: DesirelineError) -> str:
    name = type(error).__name__.removesuffix("Error")
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
