"""Modes of tuning, cheapest first, and the cheapest that is good enough.

Several candidates judged on the same clicks: one of them looks better by luck more often than one
alone. So every rung must pass the gate with an interval widened for the number of rungs
(Bonferroni), and all of them together pass by luck no more often than one candidate does. Choosing
on one half of the clicks and proving on the other would cost more: half the clicks widen an
interval by 1.41, four rungs instead of one by 1.28. What a rung gained is told as measured; that of
the best is a little too high, which can only ask too much of the cheaper ones.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median

from desireline.sidecar.configuration.durations import format_duration
from desireline.sidecar.erasing import retraining
from desireline.sidecar.errors import WorkerError
from desireline.sidecar.judging.evidence import Contest, judge_candidate
from desireline.sidecar.judging.examination import Answers, rendered_documents
from desireline.sidecar.learning.documents_alone import Teaching
from desireline.sidecar.reports.cycle_report import CycleReport, Diary, Ladder, Rung, cycles
from desireline.sidecar.target import Target
from desireline.sidecar.training import Candidate, Start, train
from desireline.trainer.gate import GateConfig
from desireline.trainer.jobs import LEAVE_DOCUMENTS, TrainedMode
from desireline.trainer.measures.base import parse

#: Encoded to learn how long a document, and a query, takes.
_DOCUMENTS, _QUERIES = 64, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The candidate of a cycle and whether it may serve."""

    candidate: str
    promote: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hopefuls:
    """Who is trained from where, against whom, and what is asked of them."""

    start: Start
    incumbent: str
    #: What is asked, if not what the target's configuration asks.
    gate: GateConfig | None


def find_candidate(
    target: Target,
    teaching: Teaching,
    hopefuls: Hopefuls,
    diary: Diary,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Train and judge in the configured mode, or in every mode that the budget holds.

    Raises:
        WorkerError: nothing could be trained.

    """
    modes = open_modes(target, hopefuls.start, diary)
    climb = _Climb(target, teaching, hopefuls, diary, tries=len(modes), clock=clock)
    if len(modes) == 1:
        return climb.alone(modes[0])
    rungs = [climb.rung(mode) for mode in modes]
    ladder = choose(rungs, epsilon=target.config.tune.epsilon, measure=climb.measure)
    return climb.told(ladder)


class _Climb:
    """One way up the ladder."""

    def __init__(
        self,
        target: Target,
        teaching: Teaching,
        hopefuls: Hopefuls,
        diary: Diary,
        *,
        tries: int,
        clock: Callable[[], float],
    ) -> None:
        self.measure = str(parse((hopefuls.gate or target.config.gate).measure))
        self._target = target
        self._teaching = teaching
        self._hopefuls = hopefuls
        self._diary = diary
        self._tries = tries
        self._answers = Answers()
        self._clock = clock
        self._began = clock()
        self._last = last_seconds(cycles(target.store, target.name))
        self._below: float | None = None
        self._reports: dict[str, CycleReport] = {}
        self._failure: WorkerError | None = None

    def alone(self, mode: TrainedMode) -> Found:
        """Train and judge one mode, and let its failure be the cycle's."""
        trained = self._train(mode, self._target.config.tune.budget)
        promote, reason = self._judge(trained)
        return Found(candidate=trained.fingerprint, promote=promote, reason=reason)

    def rung(self, mode: TrainedMode) -> Rung:
        """Train and judge one of several; leave it out where it cannot be trained in time."""
        left_s = self._target.config.tune.budget - (self._clock() - self._began)
        reason = _without_layers(self._target, self._hopefuls.start, mode) or too_long(
            mode, left_s=left_s, last=self._last, below=self._below
        )
        if reason:
            return self._left_out(mode, reason)
        try:
            trained = self._train(mode, left_s)
        except WorkerError as error:
            self._failure = error
            return self._left_out(mode, str(error))
        self._below = trained.seconds
        promote, reason = self._judge(trained)
        report = self._diary.report
        self._reports[mode] = report
        gain = report.gain[self.measure]
        before = report.measures["incumbent"][self.measure].value
        documents, seconds, milliseconds = self._costs(trained)
        return Rung(
            mode=mode,
            candidate=trained.fingerprint,
            gain=gain,
            relative=gain.value / before if before else None,
            promote=promote,
            reason=reason,
            train_s=round(trained.seconds, 1),
            embed_documents=documents,
            embed_s=round(seconds, 1),
            query_ms=round(milliseconds, 2),
        )

    def told(self, ladder: Ladder) -> Found:
        """Keep the ladder, and of the candidates' numbers those of the one that counts."""
        counts = _that_counts(ladder)
        if counts is None or counts.candidate is None:
            assert self._failure is not None, "the first rung is always tried"
            raise self._failure
        of_it = self._reports[counts.mode]
        self._diary.measured(
            of_it.measures,
            of_it.gain,
            candidate=counts.candidate,
            parts=of_it.parts,
            changes=of_it.changes,
        )
        self._diary.expected(of_it.clicks)
        self._diary.climbed(ladder)
        reason = f"{ladder.sentence}; {counts.reason}"
        return Found(candidate=counts.candidate, promote=counts.kept, reason=reason)

    def _train(self, mode: TrainedMode, budget_s: float) -> Candidate:
        return train(
            self._target,
            self._teaching,
            self._hopefuls.start,
            self._diary,
            mode=mode,
            budget_s=budget_s,
        )

    def _judge(self, trained: Candidate) -> tuple[bool, str]:
        contest = Contest(
            candidate=trained.fingerprint,
            incumbent=self._hopefuls.incumbent,
            base=self._hopefuls.start.base,
        )
        verdict = judge_candidate(
            self._target,
            contest,
            self._teaching.truth,
            self._diary,
            gate=self._hopefuls.gate,
            tries=self._tries,
            answers=self._answers,
        )
        return verdict.promote, verdict.reason

    def _left_out(self, mode: TrainedMode, reason: str) -> Rung:
        self._diary.step("fit", f"{mode} is left out: {reason}")
        return Rung(mode=mode, reason=reason)

    def _costs(self, trained: Candidate) -> tuple[int, float, float]:
        """Return documents to embed, seconds for them, and milliseconds a query."""
        encoder = self._target.encoders.get(trained.fingerprint)
        took = []
        for query in self._teaching.truth.queries[:_QUERIES]:
            began = self._clock()
            encoder.encode_queries([query])
            took.append(self._clock() - began)
        milliseconds = 1000 * median(took) if took else 0.0
        if trained.leaves_documents:
            return 0, 0.0, milliseconds
        texts = rendered_documents(self._target, trained.fingerprint)
        some = list(islice(texts.values(), _DOCUMENTS))
        began = self._clock()
        encoder.encode_documents(some)
        each = (self._clock() - began) / max(1, len(some))
        return len(texts), each * len(texts), milliseconds


def choose(rungs: Sequence[Rung], *, epsilon: float, measure: str) -> Ladder:
    """Keep the cheapest rung that the gate lets pass and that gains nearly as much as the best.

    Args:
        rungs: cheapest first.
        epsilon: how much less than the best it may gain, as a share of the best gain.
        measure: that the gains are of.

    """
    passed = [rung for rung in rungs if rung.promote and rung.gain is not None]
    told = "  ".join(_gain_in_words(rung) for rung in rungs)
    if not passed:
        return Ladder(measure=measure, rungs=tuple(rungs), sentence=f"{told}; no rung is kept")
    best = max(passed, key=_gained)
    enough = [rung for rung in passed if _gained(rung) >= (1 - epsilon) * _gained(best)]
    kept = enough[0]
    why = _why(kept, best, alone=len(enough) == 1, last=kept is rungs[-1], epsilon=epsilon)
    return Ladder(
        measure=measure,
        rungs=tuple(
            rung.model_copy(update={"kept": True}) if rung is kept else rung for rung in rungs
        ),
        sentence=f"{told}; {why}",
    )


def too_long(mode: str, *, left_s: float, last: Mapping[str, float], below: float | None) -> str:
    """Say why the rest of the budget cannot hold a rung; empty where it can, or nobody knows.

    A rung takes what it took in the last cycle, and no less than the cheaper one took tonight.
    """
    needed = max(last.get(mode, 0.0), below or 0.0)
    if below is None or left_s > needed:
        return ""
    known = "in the last cycle" if last.get(mode, 0.0) >= needed else "for the cheaper mode"
    left = format_duration(max(left_s, 0.0))
    return f"training took {format_duration(needed)} {known}, and {left} of the budget are left"


def last_seconds(reports: Sequence[CycleReport]) -> dict[str, float]:
    """Return what each mode's training took when it was tried last."""
    return {
        rung.mode: rung.train_s
        for report in reports
        if report.ladder
        for rung in report.ladder.rungs
        if rung.train_s is not None
    }


def open_modes(target: Target, start: Start, diary: Diary) -> tuple[TrainedMode, ...]:
    """Return the modes to try: a query side would keep vectors that are to be forgotten."""
    modes = target.config.tune.tried
    retrain = retraining.due(target)
    if retrain is None or start.documents not in retrain.models:
        return modes
    kept = tuple(mode for mode in modes if mode not in LEAVE_DOCUMENTS) or ("full",)
    diary.step(
        "retrain",
        f"the documents are embedded again, by mode {' or '.join(kept)}: the encoder of their"
        " vectors learned from what was erased",
    )
    return kept


def _without_layers(target: Target, start: Start, mode: TrainedMode) -> str:
    static = target.registry.get(start.base).settings.pooling == "static"
    return "a table of word vectors has no layers to change" if static and mode == "lora" else ""


def _that_counts(ladder: Ladder) -> Rung | None:
    """Return the kept rung, or where none is the one that came furthest."""
    kept = [rung for rung in ladder.rungs if rung.kept]
    tried = [rung for rung in ladder.rungs if rung.gain is not None]
    return kept[0] if kept else max(tried, key=_gained, default=None)


def _gained(rung: Rung) -> float:
    assert rung.gain is not None
    return rung.gain.value


def _gain_in_words(rung: Rung) -> str:
    if rung.gain is None:
        return f"{rung.mode} left out"
    gained = rung.share or f"{_gained(rung):+.3f}"
    return f"{rung.mode} {gained}" + ("" if rung.promote else " (refused)")


def _why(kept: Rung, best: Rung, *, alone: bool, last: bool, epsilon: float) -> str:
    within = f"within {100 * epsilon:.0f} % of the best"
    if kept is not best:
        return f"{kept.mode}: the cheapest {within}, {best.mode}"
    if alone and last:
        return f"{kept.mode}: the only one {within}"
    return f"{kept.mode}: nothing dearer gains more"
