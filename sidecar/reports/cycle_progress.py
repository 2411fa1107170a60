"""How far the piece of work is that a cycle is at, kept for whoever watches from elsewhere.

One record a target, replaced at each twentieth of a piece. It belongs to the cycle that it names
and says nothing once that has ended. What cannot be kept is logged and holds no cycle up.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict

from desireline.connectors.errors import DesirelineError
from desireline.connectors.state_store import StateStore
from desireline.sidecar.reports.reporting import twentieths

CYCLE_PROGRESS = "cycle progress"

log = structlog.get_logger(__name__)


class CycleProgress(BaseModel):
    """One piece of work and how far it is."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    cycle: str
    #: What is counted, such as "fit".
    name: str
    done: int
    total: int
    #: When it was told of first, and how much was done then.
    began_at: AwareDatetime
    began_with: int
    at: AwareDatetime

    @property
    def eta_s(self) -> float | None:
        """Seconds left at the pace so far; None while there is none."""
        done, seconds = self.done - self.began_with, (self.at - self.began_at).total_seconds()
        if done <= 0 or seconds <= 0:
            return None
        return round(seconds / done * max(self.total - self.done, 0), 1)


class ProgressKeeper:
    """Keeps the progress of one cycle."""

    def __init__(
        self, store: StateStore, target: str, cycle: str, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._target = target
        self._cycle = cycle
        self._clock = clock
        self._last: CycleProgress | None = None
        self._part = 0

    def tell(self, name: str, done: int, total: int) -> None:
        """Keep it, if it is another piece or another twentieth of it."""
        last, part = self._last, twentieths(done, total)
        if last is not None and last.name == name and part == self._part:
            return
        now = self._clock()
        same = last if last is not None and last.name == name and last.done <= done else None
        self._part = part
        self._last = CycleProgress(
            cycle=self._cycle,
            name=name,
            done=done,
            total=total,
            began_at=same.began_at if same else now,
            began_with=same.began_with if same else done,
            at=now,
        )
        self._keep(self._last)

    def _keep(self, progress: CycleProgress) -> None:
        body = progress.model_dump(mode="json")
        try:
            found = self._store.get(CYCLE_PROGRESS, self._target)
            self._store.put(CYCLE_PROGRESS, self._target, body, expected=found)
        except DesirelineError as error:
            log.warning("a cycle's progress was not kept; it goes on", reason=str(error))


def kept_progress(store: StateStore, target: str, cycle: str) -> dict[str, Any] | None:
    """Return how far a cycle under way is, as plain values with `eta_s`; None where unknown."""
    found = store.get(CYCLE_PROGRESS, target)
    if found is None or found.body.get("cycle") != cycle:
        return None
    progress = CycleProgress.model_validate(dict(found.body))
    return {**progress.model_dump(mode="json"), "eta_s": progress.eta_s}
