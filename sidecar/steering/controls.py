"""What the operator has told a target's run: pause, slow down, postpone the cut-over, cancel.

One record per target, changed by compare-and-set, read by whoever runs, wherever it runs. Every
change is idempotent and answers with one sentence that tells what was so before. Pause, throttle
and postpone are standing wishes: they hold for the next run too. A cancel belongs to the run it
was meant for and never reaches another.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from desireline.connectors.errors import StateConflictError
from desireline.connectors.state_store import Record, StateStore
from desireline.sidecar.errors import SidecarError

CONTROL = "control"
#: Writers of one small record that lose this often are not racing; something is wrong.
_TRIES = 100


class ControlError(SidecarError):
    """A wish cannot be noted as it was given; nothing changed."""


class RateError(ControlError):
    """What was given as documents a second is none; nothing changed."""


class Wish(StrEnum):
    """What an operator may ask of a run."""

    PAUSE = "pause"
    RESUME = "resume"
    THROTTLE = "throttle"
    POSTPONE = "postpone"
    CUT_OVER = "cut-over"
    CANCEL = "cancel"


class Mark(BaseModel):
    """Who asked for something, and when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str
    at: AwareDatetime

    def __str__(self) -> str:
        return f"by {self.by} at {self.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


class Control(BaseModel):
    """The operator's wishes; the default is to run at full speed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    paused: bool = False
    #: Everything is done but the cut-over, which waits until this is lifted.
    postponed: bool = False
    #: Of `run`, never of another.
    cancelled: bool = False
    #: None: as fast as the measurements allow.
    documents_a_second: float | None = None
    #: The run under way, as far as it said so; a killed one never says that it ended.
    run: str | None = None
    #: Who last changed `paused`, `postponed`, `cancelled` and `documents_a_second`.
    marks: dict[str, Mark] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a wish."""

    sentence: str
    changed: bool


class Controls:
    """Reads and changes the record of one target."""

    def __init__(
        self,
        store: StateStore,
        target: str,
        *,
        postpone_flag: Path | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._target = target
        self._flag = postpone_flag
        self._clock = clock

    def read(self) -> Control:
        """Return what the operator wants now; a flag file that stands counts as postponed."""
        control, _ = self._found()
        if not control.postponed and self._flag_stands():
            return control.model_copy(update={"postponed": True})
        return control

    def why_postponed(self) -> str:
        """Say why the cut-over waits; empty when it need not."""
        control, _ = self._found()
        if control.postponed:
            return f"the cut-over is postponed {self._mark(control, 'postponed')}"
        if self._flag_stands():
            return f"the cut-over is postponed while the flag file {self._flag} stands"
        return ""

    def why_paused(self) -> str:
        """Say why nothing may be written; empty when it may."""
        control, _ = self._found()
        return f"paused {self._mark(control, 'paused')}" if control.paused else ""

    # The run's own side.

    def begin(self, run: str) -> None:
        """Note which run is under way. A cancel that was meant for another is forgotten."""
        self._change(lambda old: {} if old.run == run else {"run": run, "cancelled": False})

    def end(self, run: str) -> None:
        """Note that the run has ended, unless another has begun meanwhile."""
        self._change(lambda old: {"run": None, "cancelled": False} if old.run == run else {})

    # The operator's side.

    def ask(self, wish: Wish, *, by: str, documents_a_second: float | None = None) -> Answer:
        """Note any wish; the rate is looked at by `throttle` alone."""
        if wish is Wish.THROTTLE:
            return self.throttle(documents_a_second, by=by)
        return {
            Wish.PAUSE: self.pause,
            Wish.RESUME: self.resume,
            Wish.POSTPONE: self.postpone,
            Wish.CUT_OVER: self.cut_over,
            Wish.CANCEL: self.cancel,
        }[wish](by=by)

    def pause(self, *, by: str) -> Answer:
        """Write no further batch until `resume`."""
        old = self._note("paused", True, by)
        if old.paused:
            return _unchanged(f"{self._target} was paused already, {self._mark(old, 'paused')}")
        return _changed(f"{self._target} is paused: no further batch is written until resume")

    def resume(self, *, by: str) -> Answer:
        """Go on writing."""
        old = self._note("paused", False, by)
        if not old.paused:
            return _unchanged(f"{self._target} was not paused")
        return _changed(f"{self._target} goes on; it was paused {self._mark(old, 'paused')}")

    def throttle(self, documents_a_second: float | None, *, by: str) -> Answer:
        """Write at most so many documents a second; None lifts the limit.

        Raises:
            RateError: not a finite rate above 0; to stop, there is `pause`.

        """
        rate = documents_a_second
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            raise RateError(
                f"{rate} documents a second is no rate; nothing changed",
                next_step='give a number above 0, or "off"; to stop writing: pause',
            )
        old = self._note("documents_a_second", rate, by)
        before, now = _rate(old.documents_a_second), _rate(rate)
        if old.documents_a_second == rate:
            return _unchanged(f"{self._target} was throttled to {now} already")
        return _changed(f"{self._target} is throttled to {now}; before it was {before}")

    def postpone(self, *, by: str) -> Answer:
        """Do everything but the cut-over, and wait with that until `cut_over`."""
        old = self._note("postponed", True, by)
        if old.postponed:
            mark = self._mark(old, "postponed")
            return _unchanged(f"the cut-over of {self._target} was postponed already, {mark}")
        return _changed(f"the cut-over of {self._target} is postponed until cut-over is said")

    def cut_over(self, *, by: str) -> Answer:
        """Lift the postponement. The gates are not skipped: the proof is made again."""
        old = self._note("postponed", False, by)
        if self._flag_stands():
            return Answer(
                sentence=f"the cut-over of {self._target} still waits, for the flag file"
                f" {self._flag} stands: remove it",
                changed=old.postponed,
            )
        if not old.postponed:
            return _unchanged(f"the cut-over of {self._target} was not postponed")
        mark = self._mark(old, "postponed")
        return _changed(
            f"the cut-over of {self._target} may go on once everything is proved;"
            f" it was postponed {mark}"
        )

    def cancel(self, *, by: str, run: str | None = None) -> Answer:
        """Give up the run under way, or the one that is named; what serves is unchanged."""
        wanted = run if run is not None else self._found()[0].run
        old = self._change(
            lambda old: (
                {}
                if wanted is None or old.run != wanted or old.cancelled
                else {"cancelled": True, "marks": self._marked(old, "cancelled", by)}
            )
        )
        if wanted is None or old.run is None:
            return _unchanged(f"no run of {self._target} is under way; nothing was cancelled")
        if old.run != wanted:
            return _unchanged(
                f"that run of {self._target} has ended and another is under way;"
                " nothing was cancelled"
            )
        if old.cancelled:
            mark = self._mark(old, "cancelled")
            return _unchanged(f"the run of {self._target} was cancelled already, {mark}")
        return _changed(
            f"the run of {self._target} is cancelled and ends before its next batch;"
            " what serves is unchanged"
        )

    def _note(self, name: str, value: Any, by: str) -> Control:
        """Set one field; return the record as it was before."""
        return self._change(
            lambda old: (
                {}
                if getattr(old, name) == value
                else {name: value, "marks": self._marked(old, name, by)}
            )
        )

    def _marked(self, old: Control, name: str, by: str) -> dict[str, Mark]:
        return {**old.marks, name: Mark(by=by, at=self._clock())}

    def _mark(self, control: Control, name: str) -> str:
        return str(control.marks.get(name, ""))

    def _change(self, fields: Callable[[Control], dict[str, Any]]) -> Control:
        """Change the record as it is now, however many write it; return what was before."""
        for _ in range(_TRIES):
            old, record = self._found()
            update = fields(old)
            if not update:
                return old
            body = old.model_copy(update=update).model_dump(mode="json")
            try:
                self._store.put(CONTROL, self._target, body, expected=record)
            except StateConflictError:
                continue
            return old
        raise ControlError(
            f"the wishes for {self._target!r} were changed by others {_TRIES} times meanwhile;"
            " nothing was noted",
            next_step="run the command again",
        )

    def _found(self) -> tuple[Control, Record | None]:
        record = self._store.get(CONTROL, self._target)
        if record is None:
            return Control(), None
        try:
            return Control.model_validate(dict(record.body)), record
        except ValidationError as error:
            raise ControlError(
                f"the control record {self._target!r} in the state store is not one of ours:"
                f" {error.error_count()} wrong fields; it was not used"
            ) from error

    def _flag_stands(self) -> bool:
        if self._flag is None:
            return False
        try:
            return self._flag.exists()
        except OSError:
            # Whether it stands cannot be seen; a cut-over too late harms less than one too early.
            return True


def _changed(sentence: str) -> Answer:
    return Answer(sentence=sentence, changed=True)


def _unchanged(sentence: str) -> Answer:
    return Answer(sentence=sentence, changed=False)


def _rate(documents_a_second: float | None) -> str:
    if documents_a_second is None:
        return "no limit of the operator's"
    return f"{documents_a_second:g} documents a second"
