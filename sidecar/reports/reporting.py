"""How long work tells where it is: the same steps for a terminal, a log and a program.

A step is a fixed name, one sentence for people and keys for programs. Progress is a count. Who
does the work knows only the port; who started it chooses what becomes of the words.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TextIO

import structlog

log = structlog.get_logger(__name__)


class Reporter(Protocol):
    """Told of every step and every bit of progress; must not raise and must not block."""

    def step(self, name: str, sentence: str, **keys: object) -> None:
        """Tell that something was done, in one sentence."""
        ...

    def progress(self, name: str, done: int, total: int, **keys: object) -> None:
        """Tell how far something is; the last call has `done == total`."""
        ...


class SilentReporter:
    """Tells nobody."""

    def step(self, name: str, sentence: str, **keys: object) -> None:
        """Tell nobody."""

    def progress(self, name: str, done: int, total: int, **keys: object) -> None:
        """Tell nobody."""


class LogReporter:
    """Every step is an event of the log, its keys beside it; progress is not logged."""

    def step(self, name: str, sentence: str, **keys: object) -> None:
        """Log one event."""
        log.info("step", step=name, sentence=sentence, **keys)

    def progress(self, name: str, done: int, total: int, **keys: object) -> None:
        """Log nothing; a log of counts helps nobody."""


class JsonReporter:
    """Every step and every twentieth of progress as one JSON line on a stream."""

    def __init__(self, stream: TextIO) -> None:
        self._write = _line_writer(stream)
        self._told: dict[str, int] = {}

    def step(self, name: str, sentence: str, **keys: object) -> None:
        """Write one line."""
        self._write({"step": name, "sentence": sentence, **keys})

    def progress(self, name: str, done: int, total: int, **keys: object) -> None:
        """Write one line for each twentieth done."""
        part = twentieths(done, total)
        if self._told.get(name) != part:
            self._told[name] = part
            self._write({"progress": name, "done": done, "total": total, **keys})


@dataclass(frozen=True, slots=True)
class TeeReporter:
    """Tells several reporters the same."""

    reporters: tuple[Reporter, ...]

    def step(self, name: str, sentence: str, **keys: object) -> None:
        """Tell all."""
        for reporter in self.reporters:
            reporter.step(name, sentence, **keys)

    def progress(self, name: str, done: int, total: int, **keys: object) -> None:
        """Tell all."""
        for reporter in self.reporters:
            reporter.progress(name, done, total, **keys)


def twentieths(done: int, total: int) -> int:
    """Return how many twentieths are done; 20 at the end, also when there was nothing to do."""
    return 20 if total <= done else 20 * done // total


def as_sentence(text: str) -> str:
    """Begin what was said with a capital and end it with a full stop; nothing stays nothing."""
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def format_rate(a_second: float) -> str:
    """Tell how often something is done, by the second, minute or hour: 0.42 is 25/min."""
    if a_second >= 1:
        return f"{a_second:,.0f}/s"
    if 60 * a_second >= 1:
        return f"{60 * a_second:,.0f}/min"
    return f"{3600 * a_second:,.1f}/h"


def _line_writer(stream: TextIO) -> Callable[[dict[str, object]], None]:
    def write(event: dict[str, object]) -> None:
        stream.write(json.dumps(event, default=str, ensure_ascii=False) + "\n")
        stream.flush()

    return write
