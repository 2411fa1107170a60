"""Wrong fields of a configuration, one line each: the place, what is wrong, what is expected."""

import difflib
import re
import types
import typing
from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from desireline.sidecar.errors import SidecarError

_SHOWN = 60
#: The user and password of an address; a secret is never repeated.
_USER_INFO = re.compile(r"//[^/@]*@")


class ConfigError(SidecarError):
    """The configuration is wrong; nothing was started."""

    next_step = "mend the lines above; docs/configuration.md describes every field"


class PluginSettingsError(ValueError):
    """The settings of a plugin are wrong, each of them as pydantic says."""

    def __init__(self, error: ValidationError, model: type[BaseModel]) -> None:
        super().__init__(str(error))
        self.details = error.errors()
        self.model = model


def describe(error: ValidationError, *, source: str, root: type[BaseModel]) -> ConfigError:
    """Return one error that names every wrong field."""
    details = error.errors()
    told = [detail for detail in details if not _follows_from_another(detail, details)]
    return ConfigError("\n".join(line for one in told for line in _lines(one, source, root)))


def _follows_from_another(detail: ErrorDetails, details: Sequence[ErrorDetails]) -> bool:
    """Tell whether a list only counts as too short because its items are wrong."""
    loc = detail["loc"]
    return detail["type"] == "too_short" and any(
        other["loc"][: len(loc)] == loc for other in details if other is not detail
    )


def _lines(
    detail: ErrorDetails, source: str, root: type[BaseModel], inside: tuple[str | int, ...] = ()
) -> Iterator[str]:
    """Yield one line, or those of the plugin whose settings are wrong."""
    loc = (*inside, *detail["loc"])
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, PluginSettingsError):
        for inner in cause.details:
            yield from _lines(inner, source, cause.model, loc)
    else:
        place = ".".join(str(part) for part in loc if part != "[key]") or "the file"
        yield f"{source}: {place}: {_sentence(detail, root)}"


def _sentence(detail: ErrorDetails, root: type[BaseModel]) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return _unknown(detail["loc"], root)
        case "missing":
            return "missing; expected " + _described(detail["loc"], root)
        case "too_short":
            return "expected at least one"
        case "value_error":
            return _with_value(str(detail["ctx"]["error"]), detail["input"])
        case "string_pattern_mismatch":
            return _with_value("expected lower-case letters, digits, - and _", detail["input"])
        case _:
            return _with_value(_expected(detail["msg"]), detail["input"])


def _expected(message: str) -> str:
    """Turn pydantic's "Input should be …" into our "expected …"."""
    return message.replace("Input should be", "expected", 1).replace("a valid ", "a ", 1)


def _with_value(message: str, value: object) -> str:
    """Add the value that was given, unless it is a whole table."""
    if isinstance(value, dict | BaseModel):
        return message
    shown = _USER_INFO.sub("//…@", repr(value))
    return f"{message}; found {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'}"


def _unknown(loc: Sequence[str | int], root: type[BaseModel]) -> str:
    model = _model_at(loc[:-1], root)
    known = list(model.model_fields) if model else []
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    if close:
        return f"unknown key; did you mean {close[0]!r}?"
    return f"unknown key; expected one of {', '.join(known)}"


def _described(loc: Sequence[str | int], root: type[BaseModel]) -> str:
    model = _model_at(loc[:-1], root)
    field = model.model_fields.get(str(loc[-1])) if model else None
    said = (field.description if field else None) or "a value"
    return said[:1].lower() + said[1:].rstrip(".")


def _model_at(loc: Sequence[str | int], root: type[BaseModel]) -> type[BaseModel] | None:
    """Walk from the root to the table a location lies in."""
    at: type[BaseModel] | None = root
    names = iter(loc)
    for name in names:
        field = at.model_fields.get(str(name)) if at else None
        if field is None:
            return None
        at = _model_in(field.annotation)
        if typing.get_origin(field.annotation) is dict:
            next(names, None)
    return at


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    inner = (_model_in(part) for part in typing.get_args(annotation))
    return next((model for model in inner if model), None)
