"""Bodies of the admin requests: names and numbers, never code, paths or URLs."""

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from desireline.sidecar.http.refusals import RequestRefusedError
from desireline.sidecar.http.requests import json_object

_Body = TypeVar("_Body", bound=BaseModel)
_KEY_CHARACTERS = 200

Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class _Strict(BaseModel):
    """Knows no other keys and takes no text for a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class NothingBody(_Strict):
    """Nothing, or an empty object."""


class ThrottleBody(_Strict):
    """A rate, or null to lift the limit; it must be said which."""

    documents_a_second: Annotated[float, Field(gt=0)] | None


class CancelBody(_Strict):
    """Which run; left out: the one under way."""

    run: Name | None = None


class RevertBody(_Strict):
    """Which generation; left out: the one that served before."""

    generation: Number | None = None


class ReindexBody(_Strict):
    """Which encoder, as it is registered, and how; left out: the live one, whatever way fits."""

    model: Name | None = None
    way: Literal["auto", "slot", "index", "query"] = "auto"
    end_hold: bool = False


class EraseBody(_Strict):
    """A client, by its id in the application's own log, or a query: one of them."""

    client_id: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None
    query: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None

    @model_validator(mode="after")
    def _one(self) -> "EraseBody":
        if (self.client_id is None) == (self.query is None):
            raise ValueError("give either client_id or query")
        return self


def read(body: bytes, model: type[_Body]) -> _Body:
    """Return what a request asks; an empty body is an empty object.

    Raises:
        RequestRefusedError: not JSON, an unknown key, or a value of another kind.

    """
    try:
        return model.model_validate(json_object(body) if body.strip() else {})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:80] or "the body"
        known = ", ".join(model.model_fields) or "none"
        raise RequestRefusedError(
            f"{place}: {first['msg']}; nothing was done",
            next_step=f"fields of this request: {known}",
            parameter=place,
        ) from error


def idempotency_key(header: str | None) -> str | None:
    """Return the key of a request that is to be done once, or None.

    Raises:
        RequestRefusedError: empty, too long, or not printable.

    """
    if header is None:
        return None
    if not header.strip() or len(header) > _KEY_CHARACTERS or not header.isascii():
        raise RequestRefusedError(
            f"Idempotency-Key takes 1 to {_KEY_CHARACTERS} printable characters; nothing was done",
            parameter="Idempotency-Key",
        )
    return header.strip()
