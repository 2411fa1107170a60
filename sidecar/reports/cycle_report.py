"""What one cycle did and why, kept step by step so that a crash leaves its story."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from desireline.connectors.errors import DesirelineError
from desireline.connectors.state_store import Record, StateStore
from desireline.sidecar.errors import RunCancelledError
from desireline.sidecar.reports.answer_changes import AnswerChanges, forget_changes, keep_changes
from desireline.sidecar.reports.cycle_progress import ProgressKeeper
from desireline.sidecar.reports.reporting import Reporter

CYCLE = "cycle"


class Outcome(StrEnum):
    """How a cycle ended."""

    RUNNING = "running"
    #: A better encoder was found and serves.
    WENT_LIVE = "went live"
    #: The candidate was not proved better; nothing changed.
    KEPT_INCUMBENT = "kept incumbent"
    #: There was too little to learn from, or no reason to; nothing changed.
    NOTHING_TO_DO = "nothing to do"
    #: Something broke; what serves is unchanged.
    FAILED = "failed"
    #: The operator gave it up; what serves is unchanged.
    CANCELLED = "cancelled"
    #: The process died; the next cycle resumes.
    INTERRUPTED = "interrupted"


class Step(BaseModel):
    """One line of the story."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sentence: str
    at: AwareDatetime


class Interval(BaseModel):
    """A mean over held-out queries and its 95 % bootstrap interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float


class JudgedPart(BaseModel):
    """What the deciding measure says of a part of the queries, before and after."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: str
    queries: int
    #: Of the incumbent; on the general suite of the base encoder.
    before: float
    after: float
    gain: Interval


class LoggedClicks(BaseModel):
    """Clicks a search that the log expects of both rankings; they decide nothing.

    Self-normalised, clipped inverse propensities (SNIPS), see `trainer.off_policy`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: float
    after: float
    standard_errors: tuple[float, float]
    #: In the log, and how many evenly weighted ones theirs are worth.
    searches: int
    effective: float
    #: Share of what people would look at that the log has shown.
    covered: float
    #: Why it is hardly an estimate; empty where it may be believed.
    warning: str = ""

    @property
    def sentence(self) -> str:
        """The whole in one line."""
        told = (
            f"expected clicks a search {self.before:.3f} -> {self.after:.3f} (standard errors"
            f" {self.standard_errors[0]:.3f}, {self.standard_errors[1]:.3f};"
            f" {self.effective:,.0f} effective of {self.searches:,} searches,"
            f" {self.covered:.0%} covered)"
        )
        return f"{told}: {self.warning}" if self.warning else told


class Rung(BaseModel):
    """One mode of tuning, what it gained on held-out clicks, and what it costs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: str
    #: Fingerprint; None where nothing was trained.
    candidate: str | None = None
    #: Of the deciding measure, over what serves; the bounds the gate asks about are wider.
    gain: Interval | None = None
    #: The gain as a share of what the incumbent reaches.
    relative: float | None = None
    #: Whether the gate would let it serve.
    promote: bool = False
    #: The gate's sentence, or why the rung was left out.
    reason: str
    train_s: float | None = None
    #: Documents that would have to be embedded before it serves, and seconds that takes.
    embed_documents: int | None = None
    embed_s: float | None = None
    #: Milliseconds to encode one query, the median of some.
    query_ms: float | None = None
    kept: bool = False

    @property
    def share(self) -> str:
        """What it gained, as a share of what serves reaches: ``+4.2 %``; empty if unknown."""
        return "" if self.relative is None else f"{100 * self.relative:+.1f} %"

    @property
    def verdict(self) -> str:
        """What became of it, in a word or two."""
        if self.gain is None:
            return "left out"
        return "kept" if self.kept else "would pass" if self.promote else "refused"

    @property
    def cost_s(self) -> float | None:
        """Seconds of training and of embedding together."""
        return None if self.train_s is None else self.train_s + (self.embed_s or 0.0)


class Ladder(BaseModel):
    """Every mode that was tried tonight, cheapest first, and which was kept and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: str
    rungs: tuple[Rung, ...]
    sentence: str


class CycleReport(BaseModel):
    """One turn of the wheel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    cycle: str
    outcome: Outcome
    #: Why, in one sentence.
    reason: str = ""
    #: What to do about it, where something failed.
    next_step: str = ""
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    steps: tuple[Step, ...] = ()
    #: By ranker (bm25, base, incumbent, candidate), then by measure, on held-out clicks.
    measures: dict[str, dict[str, Interval]] = {}
    #: Of the paired difference candidate minus incumbent, by measure.
    gain: dict[str, Interval] = {}
    #: By segment, cell, topic and part of the general suite.
    parts: dict[str, JudgedPart] = {}
    #: What the log expects of both rankings; None where people judged.
    clicks: LoggedClicks | None = None
    #: What the candidate answers differently. It names queries, so it is kept apart and not for
    #: long; a report that was read again has none (`answer_changes.kept_changes`).
    changes: AnswerChanges | None = None
    #: Where several modes were tried.
    ladder: Ladder | None = None
    #: Fingerprint of the candidate, once there is one.
    candidate: str | None = None
    generation: int | None = None

    @property
    def running(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return self.outcome is Outcome.RUNNING

    @property
    def sentence(self) -> str:
        """The end of the story in one line."""
        return f"{self.outcome}: {self.reason}"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return self.model_dump(mode="json")


class Diary:
    """Writes the report of one cycle as it goes, to the store and to the reporter."""

    def __init__(
        self, store: StateStore, target: str, reporter: Reporter, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._reporter = reporter
        self._clock = clock
        started = clock()
        self.report = CycleReport(
            target=target,
            cycle=f"{started:%Y%m%dT%H%M%S.%f}Z",
            outcome=Outcome.RUNNING,
            started_at=started,
        )
        self._progress = ProgressKeeper(store, target, self.report.cycle, clock)
        self._record: Record | None = None
        forget_changes(store, target)
        self._save()

    @property
    def cycle(self) -> str:
        """Id of this cycle."""
        return self.report.cycle

    def step(self, name: str, sentence: str, **keys: object) -> None:
        """Keep and tell one step."""
        self._reporter.step(name, sentence, **keys)
        step = Step(name=name, sentence=sentence, at=self._clock())
        self._change(steps=(*self.report.steps, step))

    def progress(self, name: str, done: int, total: int, **keys: object) -> None:
        """Tell progress, and keep it apart until the cycle has ended."""
        self._reporter.progress(name, done, total, **keys)
        self._progress.tell(name, done, total)

    def measured(
        self,
        measures: Mapping[str, Mapping[str, Interval]],
        gain: Mapping[str, Interval],
        *,
        candidate: str,
        parts: Mapping[str, JudgedPart] | None = None,
        changes: AnswerChanges | None = None,
    ) -> None:
        """Keep the table, and the examples for as long as this is the last cycle."""
        keep_changes(self._store, self.report.target, self.cycle, changes)
        self._change(
            parts=dict(parts or {}),
            measures={ranker: dict(row) for ranker, row in measures.items()},
            gain=dict(gain),
            candidate=candidate,
            changes=changes,
        )

    def expected(self, clicks: LoggedClicks | None) -> None:
        """Keep what the log expects of both rankings."""
        self._change(clicks=clicks)

    def climbed(self, ladder: Ladder) -> None:
        """Keep the ladder and tell its sentence."""
        self._change(ladder=ladder)
        self.step("mode", ladder.sentence, **ladder.model_dump(mode="json", exclude={"sentence"}))

    def end(self, outcome: Outcome, reason: str, *, generation: int | None = None) -> CycleReport:
        """Close the report."""
        self._change(outcome=outcome, reason=reason, ended_at=self._clock(), generation=generation)
        self._reporter.step("end", self.report.sentence, outcome=outcome.value)
        return self.report

    def fail(self, error: DesirelineError) -> CycleReport:
        """Close the report with what ended it."""
        cancelled = isinstance(error, RunCancelledError)
        self._change(next_step=error.next_step)
        return self.end(Outcome.CANCELLED if cancelled else Outcome.FAILED, str(error))

    def _change(self, **fields: Any) -> None:
        self.report = self.report.model_copy(update=fields)
        self._save()

    def _save(self) -> None:
        key = f"{self.report.target}:{self.report.cycle}"
        self._record = self._store.put(
            CYCLE,
            key,
            self.report.model_dump(mode="json", exclude={"changes"}),
            expected=self._record,
        )


def cycles(store: StateStore, target: str) -> list[CycleReport]:
    """Return every cycle of a target, oldest first."""
    return list(newest_cycles(store, target))[::-1]


def newest_cycles(store: StateStore, target: str) -> Iterator[CycleReport]:
    """Yield the cycles of a target, newest first; each is read when it is asked for."""
    for record in reversed(store.list(CYCLE)):
        if record.key.startswith(f"{target}:"):
            yield CycleReport.model_validate(dict(record.body))


def mark_interrupted(store: StateStore, target: str) -> CycleReport | None:
    """Close the newest report if its process died; call while holding the lease."""
    for record in store.list(CYCLE)[::-1]:
        if not record.key.startswith(f"{target}:"):
            continue
        report = CycleReport.model_validate(dict(record.body))
        if report.outcome is not Outcome.RUNNING:
            return None
        closed = report.model_copy(
            update={"outcome": Outcome.INTERRUPTED, "reason": "its process ended before it did"}
        )
        body = closed.model_dump(mode="json", exclude={"changes"})
        store.put(CYCLE, record.key, body, expected=record)
        return closed
    return None
