"""The gate's evidence, collected: everybody answers the held-out queries."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from desireline.sidecar.cycle_report import Diary
from desireline.sidecar.examination import MEASURES, examine, rank_by
from desireline.sidecar.target import Target
from desireline.trainer.evaluation import evaluate_clicks
from desireline.trainer.gate import (
    GateConfig,
    GateEvidence,
    Golden,
    Verdict,
    broken_golden,
    decide,
    read_golden,
)
from desireline.trainer.measures.base import Qrels, parse

#: Clicks know nothing of documents that were not shown, so what is measured to the depth that
#: logs usually hold would only say that the incumbent shows what it showed.
_MEASURES = tuple(measure for measure in MEASURES if measure.cutoff <= 10)  # noqa: PLR2004 - half of a page of twenty


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutTruth:
    """What clicks of held-out queries say; weak, but never trained on."""

    #: Grades are right on average only, and may be below zero.
    qrels: Qrels
    #: Head, torso or tail by query.
    segments: Mapping[str, str]

    @property
    def queries(self) -> list[str]:
        """The queries that have a truth, sorted."""
        return sorted(self.qrels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Who is compared, by fingerprint."""

    candidate: str
    incumbent: str
    base: str


def judge_candidate(
    target: Target,
    contest: Contest,
    truth: HeldOutTruth,
    diary: Diary,
    *,
    gate: GateConfig | None = None,
) -> Verdict:
    """Compare candidate and incumbent on held-out clicks, and let the gate decide.

    `gate` is what is asked of the candidate, if not what the target's configuration asks.
    """
    gate = gate or target.config.gate
    decisive = parse(gate.measure)
    examined = examine(
        target,
        truth.qrels,
        asdict(contest),
        diary,
        measures=tuple(dict.fromkeys((*_MEASURES, decisive))),
        by=evaluate_clicks,
    )
    diary.measured(
        examined.table,
        examined.gain("candidate", "incumbent"),
        candidate=contest.candidate,
    )
    comparison = examined.compare("candidate", "incumbent", truth.segments)
    evidence = GateEvidence(comparison=comparison, broken=_broken(target, contest))
    verdict = decide(evidence, gate)
    diary.step(
        "gate",
        f"{'promote' if verdict.promote else 'keep the incumbent'}: {verdict.reason}",
        promote=verdict.promote,
    )
    return verdict


def _broken(target: Target, contest: Contest) -> tuple[Golden, ...]:
    """Golden queries that the incumbent answers and the candidate does not."""
    if target.config.gate.golden is None:
        return ()
    golden = read_golden(target.config.gate.golden)
    queries = sorted({pin.query for pin in golden})
    return broken_golden(
        golden,
        incumbent=rank_by(target, contest.incumbent, queries),
        candidate=rank_by(target, contest.candidate, queries),
    )
