"""Queries for documents from an OpenAI-compatible endpoint."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from desireline.sidecar.configuration.hooks import host_of
from desireline.sidecar.errors import SidecarError

_ANSWER_BYTES = 1_000_000
#: Of a text, what is sent: more than any encoder reads.
_LONGEST_TEXT = 4_000
_LIST_MARK = re.compile(r"^\s*(?:[-*•]|\d{1,3}[.)])\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryEndpoint:
    """Asks for the queries of one document at a time."""

    url: str
    model: str
    instruction: str
    timeout_s: float
    key: str | None = field(default=None, repr=False)
    #: What to do when it fails.
    next_step: str = "check tune.query_writer, or take synthetic out of tune.miners"

    @property
    def fingerprint(self) -> str:
        """Names what decides what is written, as far as it can be known from here."""
        return sha256(f"{self.url}\n{self.model}\n{self.instruction}".encode()).hexdigest()

    def __call__(self, texts: Sequence[str], most: int) -> list[list[str]]:
        """Return up to `most` queries for each text.

        Raises:
            SidecarError: the endpoint did not answer, or not as OpenAI's does.

        """
        return [self._ask(text, most) for text in texts]

    def _ask(self, text: str, most: int) -> list[str]:
        body = {
            "model": self.model,
            "messages": [
                {"role": "system", "content": self.instruction.replace("{most}", str(most))},
                {"role": "user", "content": text[:_LONGEST_TEXT]},
            ],
        }
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(  # noqa: S310 - an http address, checked when configured
            f"{self.url.rstrip('/')}/chat/completions", json.dumps(body).encode(), headers
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:  # noqa: S310 - as above
                found = json.loads(answer.read(_ANSWER_BYTES))
            said = str(found["choices"][0]["message"]["content"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise SidecarError(
                f"the query writer at {host_of(self.url)} did not answer as expected:"
                f" {_reason(error)}; nothing was trained and what serves is unchanged",
                next_step=self.next_step,
            ) from error
        return _lines(said, most)


def _reason(error: Exception) -> str:
    """Name what went wrong without what was sent or said."""
    if isinstance(error, urllib.error.HTTPError):
        return f"status {error.code}"
    return type(error).__name__


def _lines(said: str, most: int) -> list[str]:
    """Take one query a line, without the marks of a list."""
    lines = (_LIST_MARK.sub("", line).strip().strip('"“”').strip() for line in said.splitlines())
    return list(dict.fromkeys(filter(None, lines)))[:most]
