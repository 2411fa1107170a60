"""The gate's evidence, collected: everybody answers the held-out queries."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from desireline.sidecar.judging.examination import MEASURES, Answers, Examination, Reading, examine
from desireline.sidecar.judging.general_ability import general_ability
from desireline.sidecar.reports.answer_changes import EXAMPLES, AnswerChanges, tell_changes
from desireline.sidecar.reports.cycle_report import Diary, Interval, JudgedPart, LoggedClicks
from desireline.sidecar.target import Target
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.evaluation import CONFIDENCE, Difference, compare, evaluate_clicks
from desireline.trainer.gate import (
    GateConfig,
    GateEvidence,
    Verdict,
    broken_golden,
    decide,
    read_golden,
)
from desireline.trainer.judging.changes import largest_changes
from desireline.trainer.judging.off_policy import expected_clicks
from desireline.trainer.judging.sanity import most_pushed, own_titles, titles_to_ask, unsound
from desireline.trainer.judging.topics import topics_of
from desireline.trainer.measures.base import Measure, Qrels, Run, parse
from desireline.trainer.sessions import Sessions

#: Clicks know nothing of documents that were not shown, so what is measured to the depth that
#: logs usually hold would only say that the incumbent shows what it showed.
_OF_CLICKS = tuple(measure for measure in MEASURES if measure.cutoff <= 10)  # noqa: PLR2004 - half of a page of twenty
#: Texts whose vectors are looked at as such.
_LOOKED_AT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedSearches:
    """What users were shown and clicked, and how they look."""

    sessions: Sessions
    #: By position from 1.
    examination: Mapping[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutTruth:
    """What clicks of held-out queries say; weak, but never trained on."""

    #: Grades are right on average only, and may be below zero.
    qrels: Qrels
    #: Head, torso or tail by query.
    segments: Mapping[str, str]
    #: What the newest searches alone say of the same queries; empty where time has no part in it.
    newest: Qrels = field(default_factory=dict)
    #: The truth told apart by whether training saw the query, and the document. It holds queries
    #: that training has seen, which decide nothing.
    cells: Mapping[str, Qrels] = field(default_factory=dict)
    #: What of it may be shown to people: no query that too few typed, and of clicks no document
    #: that too few clicked.
    presentable: Qrels = field(default_factory=dict)
    #: The searches that judge, and how likely each position is looked at; None where people judge.
    log: LoggedSearches | None = None

    @property
    def queries(self) -> list[str]:
        """The queries that have a truth, sorted."""
        return sorted(self.qrels)

    @property
    def also_asked(self) -> list[str]:
        """Queries of the cells that have no part in the truth itself, sorted."""
        return sorted({query for cell in self.cells.values() for query in cell} - set(self.qrels))


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
    tries: int = 1,
    answers: Answers | None = None,
) -> Verdict:
    """Compare candidate and incumbent on held-out clicks, and let the gate decide.

    Args:
        target: whose documents are ranked.
        contest: who is compared.
        truth: what the held-out queries want.
        diary: told and given the table.
        gate: what is asked of the candidate, if not what the target's configuration asks.
        tries: candidates that this truth judges tonight. The best of many looks better than it
            is, so the interval grows with their number (Bonferroni).
        answers: shared by the candidates of one night, so that who does not change is asked once.

    """
    gate = gate or target.config.gate
    evidence = _gather(target, contest, truth, diary, gate=gate, tries=tries, answers=answers)
    verdict = decide(evidence, gate)
    diary.step(
        "gate",
        f"{'promote' if verdict.promote else 'keep the incumbent'}: {verdict.reason}",
        promote=verdict.promote,
    )
    return verdict


def _gather(
    target: Target,
    contest: Contest,
    truth: HeldOutTruth,
    diary: Diary,
    *,
    gate: GateConfig,
    tries: int,
    answers: Answers | None,
) -> GateEvidence:
    """Let everybody answer everything once, and measure it in every way the gate asks about."""
    measure = parse(gate.measure)
    reading = Reading(target)
    golden = () if target.config.gate.golden is None else read_golden(target.config.gate.golden)
    titles = titles_to_ask(reading.documents(contest.incumbent))
    examined = examine(
        target,
        truth.qrels,
        asdict(contest),
        diary,
        measures=tuple(dict.fromkeys((measure, *(MEASURES if truth.log is None else _OF_CLICKS)))),
        by=evaluate_clicks,
        also={*truth.also_asked, *titles, *(pin.query for pin in golden)},
        reading=reading,
        answers=answers,
    )
    ability = general_ability(target, asdict(contest), measure, reading)
    before, after = examined.runs["incumbent"], examined.runs["candidate"]
    by_topic = examined.compare(
        "candidate",
        "incumbent",
        topics_of(target.encoder(contest.base), truth.queries, topics=gate.topics),
        confidence=_of_many(gate.topics),
    )
    evidence = GateEvidence(
        comparison=examined.compare(
            "candidate", "incumbent", truth.segments, confidence=_of_many(tries)
        ),
        broken=broken_golden(golden, incumbent=before, candidate=after),
        unsound=_unsound(target, contest, truth, reading),
        titles=own_titles(titles, before, after),
        push=most_pushed(_only(before, truth.qrels), _only(after, truth.qrels)),
        documents=len(reading.documents(contest.candidate)),
        newest=_on(truth.newest, examined, measure) if truth.newest else None,
        topics=tuple(by_topic.of(measure, name) for name in by_topic.segments),
        general=ability.differences,
        embeds=target.registry.get(contest.candidate).documents is None,
    )
    diary.measured(
        {name: {**row, **ability.row(name)} for name, row in examined.table.items()},
        {**examined.gain("candidate", "incumbent"), **ability.gain},
        candidate=contest.candidate,
        parts=_parts(
            evidence,
            {name: _on(qrels, examined, measure) for name, qrels in truth.cells.items()},
            measure,
        ),
        changes=_changes(target, truth, examined, measure, reading.documents(contest.incumbent)),
    )
    if truth.log is not None:
        _tell_clicks(diary, truth.log, _only(before, truth.qrels), _only(after, truth.qrels))
    return evidence


def _tell_clicks(diary: Diary, log: LoggedSearches, before: Run, after: Run) -> None:
    """Tell what the log expects of both rankings; it decides nothing."""
    old, new = (expected_clicks(log.sessions, run, log.examination) for run in (before, after))
    if old is None or new is None:
        return
    found = LoggedClicks(
        before=old.clicks_a_search,
        after=new.clicks_a_search,
        standard_errors=(old.standard_error, new.standard_error),
        searches=new.searches,
        effective=new.effective,
        covered=new.covered,
        warning=new.warning or old.warning,
    )
    diary.expected(found)
    diary.step(
        "clicks",
        found.sentence,
        before=old.clicks_a_search,
        after=new.clicks_a_search,
        effective=new.effective,
    )


def _changes(
    target: Target,
    truth: HeldOutTruth,
    examined: Examination,
    measure: Measure,
    documents: Mapping[str, DocumentText],
) -> AnswerChanges:
    """Find what is won and lost most, among what may be shown and has not been erased."""
    erased = target.privacy.erased if target.privacy is not None else None
    barred = erased is not None and erased.look_again()
    qrels = {
        query: grades
        for query, grades in truth.presentable.items()
        if not (barred and erased is not None and erased.bars_query(query))
    }
    runs = examined.runs["incumbent"], examined.runs["candidate"]
    return tell_changes(
        largest_changes(*runs, qrels, measure=measure, most=EXAMPLES),
        judged=len(truth.qrels),
        runs=runs,
        qrels=qrels,
        titles={name: document.title for name, document in documents.items()},
        measure=measure,
    )


def _of_many(tries: int) -> float:
    """Return the confidence of each at which all together are as sure as one is alone."""
    return 1 - (1 - CONFIDENCE) / max(1, tries)


def _unsound(target: Target, contest: Contest, truth: HeldOutTruth, reading: Reading) -> str:
    """Look at the vectors of some queries and documents as such."""
    encoder = target.encoder(contest.candidate)
    texts = sorted({each.text for each in reading.documents(contest.candidate).values()} - {""})
    of_queries = unsound(encoder.encode_queries(truth.queries[:_LOOKED_AT]))
    return of_queries or unsound(encoder.encode_documents(texts[:_LOOKED_AT]))


def _only(run: Run, qrels: Qrels) -> Run:
    return {query: run[query] for query in qrels}


def _on(qrels: Qrels, examined: Examination, measure: Measure) -> Difference:
    """Compare on another truth, whose queries were asked too."""
    after, before = (
        evaluate_clicks(examined.runs[who], qrels, [measure]) for who in ("candidate", "incumbent")
    )
    return compare(after, before).of(measure)


def _parts(
    evidence: GateEvidence, cells: Mapping[str, Difference], measure: Measure
) -> dict[str, JudgedPart]:
    """Everything that was measured by part, under the name people read."""
    comparison = evidence.comparison
    found = {
        **{name: comparison.of(measure, name) for name in comparison.segments},
        **cells,
        **({} if evidence.newest is None else {"newest searches": evidence.newest}),
        **{topic.segment: topic for topic in evidence.topics},
        **{f"general suite, {part.segment}": part for part in evidence.general},
    }
    return {
        name: JudgedPart(
            measure=str(part.measure),
            queries=part.queries,
            before=part.incumbent,
            after=part.candidate,
            gain=Interval(value=part.gain.mean, low=part.gain.low, high=part.gain.high),
        )
        for name, part in found.items()
        if part.queries
    }
