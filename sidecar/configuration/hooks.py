"""What a user may say about the hooks of a run; every field carries its own description."""

import re
from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from desireline.sidecar.configuration.durations import parse_duration

_LONGEST_S = 600.0
_PRINTABLE = re.compile(r"[!-\[\]-~]{1,2000}")


class HookPoint(StrEnum):
    """Where a hook may stand. Those named `before_` stop what they guard when they fail."""

    BEFORE_BACKFILL = "before_backfill"
    ON_THROTTLE = "on_throttle"
    ON_POSTPONED = "on_postponed"
    BEFORE_CUT_OVER = "before_cut_over"
    AFTER_CUT_OVER = "after_cut_over"
    BEFORE_REVERT = "before_revert"
    AFTER_REVERT = "after_revert"
    ON_SUCCESS = "on_success"
    ON_FAILURE = "on_failure"

    @property
    def guards(self) -> bool:
        """Whether something is stopped when a hook here fails."""
        return self.value.startswith("before_")


def web_address(url: str) -> str:
    """Return the address of a webhook as it was given.

    Raises:
        ValueError: not a plain http or https address of one host, or it carries credentials.

    """
    expected = 'expected an address such as "https://hooks.example.org/desireline"'
    if not _PRINTABLE.fullmatch(url):
        raise ValueError(expected)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(expected) from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError(expected)
    if "@" in parts.netloc:
        raise ValueError("expected no user or password in the address")
    if parts.fragment:
        raise ValueError(expected)
    return url


def host_of(url: str) -> str:
    """Return the host that an address names, as it is compared with the allowed ones."""
    return (urlsplit(url).hostname or "").lower().rstrip(".")


def _words(words: tuple[str, ...]) -> tuple[str, ...]:
    if not words or not words[0].strip() or any("\0" in word for word in words):
        raise ValueError(
            'expected a program and its arguments, such as ["./announce", "--quietly"]'
        )
    return words


class HookConfig(BaseModel):
    """A program or a webhook at one named point of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    point: HookPoint = Field(
        description="Where it stands; at a before_ point its failure stops what comes next."
    )
    program: Annotated[tuple[str, ...], AfterValidator(_words)] | None = Field(
        default=None,
        examples=[["./announce", "products"]],
        description="Program and arguments, run without a shell; facts come as DESIRELINE_…"
        " variables and as JSON on stdin. Anything but exit status 0 is a failure.",
    )
    webhook: Annotated[str, AfterValidator(web_address)] | None = Field(
        default=None,
        examples=["https://hooks.example.org/desireline"],
        description="Address that is sent the facts as JSON; its host must be in"
        " hooks.allowed_hosts. Anything but a 2xx answer is a failure; redirects are not followed.",
    )
    timeout: Annotated[float, BeforeValidator(parse_duration)] = Field(
        default=30.0,
        gt=0,
        le=_LONGEST_S,
        description="After this it counts as failed, and a program is killed.",
    )
    on_failure: Literal["stop", "ignore"] | None = Field(
        default=None,
        examples=["ignore"],
        description="stop or ignore; left out: stop at before_ points, ignore at all others.",
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> "HookConfig":
        if (self.program is None) == (self.webhook is None):
            raise ValueError("expected either program or webhook")
        if self.on_failure == "stop" and not self.point.guards:
            raise ValueError(
                f'on_failure "stop" needs a before_ point; at {self.point} there is nothing to stop'
            )
        return self

    @property
    def stops(self) -> bool:
        """Whether its failure stops what it guards."""
        return self.point.guards and self.on_failure != "ignore"

    @property
    def name(self) -> str:
        """What it is called in sentences: the program's word, or the webhook's host alone."""
        if self.program is not None:
            return repr(self.program[0])
        return f"webhook at {host_of(self.webhook or '')}"
