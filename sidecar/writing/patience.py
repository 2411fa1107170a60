"""How long work waits for an engine that is busy, full or away, and how often it asks again.

Pauses grow and are jittered, so that many sidecars do not come back at once. A disk at its flood
stage answers 429 as a busy node does, but no retry frees a disk: it is asked twice a minute.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from desireline.connectors.errors import (
    DesirelineError,
    EngineUnavailableError,
    FloodStageError,
    PartialReadError,
    StateUnavailableError,
)

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0

PASSING = (
    EngineUnavailableError,
    FloodStageError,
    PartialReadError,
    StateUnavailableError,
)
"""Errors that go by themselves: what they interrupted may be done again and goes on."""

_T = TypeVar("_T")


def quiet(_reason: str) -> None:
    """Tell nobody."""


class Patience:
    """The pauses of one piece of work; start a new one for the next."""

    def __init__(
        self,
        limit_s: float,
        *,
        check: Callable[[], None],
        told: Callable[[str], None] = quiet,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limit_s = limit_s
        #: Raises when this process may write no more; called after every pause.
        self._check = check
        #: Told why it waits, and the empty string when it goes on.
        self._told = told
        self._sleep = sleep
        self._next_s = _FIRST_PAUSE_S
        self.waited_s = 0.0

    def pause(self, error: DesirelineError) -> None:
        """Wait a little longer than the last time.

        Raises:
            DesirelineError: the one given, when all patience is spent.

        """
        if self.waited_s >= self._limit_s:
            raise error
        self._told(str(error))
        flooded = isinstance(error, FloodStageError)
        pause_s = _LONGEST_PAUSE_S if flooded else self._next_s * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
        self._next_s = min(self._next_s * 2, _LONGEST_PAUSE_S)
        self._sleep(pause_s)
        self.waited_s += pause_s
        self._check()

    def go_on(self) -> None:
        """Say that the wait is over, if there was one."""
        if self.waited_s:
            self._told("")

    def until(self, work: Callable[[], _T]) -> _T:
        """Return what the work returns, done again as long as passing errors end it.

        The work must be one that resumes: every stage of a run is.
        """
        while True:
            try:
                result = work()
            except PASSING as error:
                self.pause(error)
            else:
                self.go_on()
                return result
