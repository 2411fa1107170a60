"""What a candidate can do that the incumbent cannot, on held-out queries.

Everybody ranks the same documents for the same queries: BM25 through the engine, every
encoder by exact nearest neighbours, so that the index cannot flatter or hide a difference.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from desireline.connectors.search_engine import Read
from desireline.sidecar.reports.cycle_report import Interval
from desireline.sidecar.reports.reporting import Reporter
from desireline.sidecar.target import Target
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.evaluation import (
    CONFIDENCE,
    Comparison,
    Evaluation,
    compare,
    evaluate,
    rank_exact,
)
from desireline.trainer.measures.base import Measure, Qrels, Run, parse

if TYPE_CHECKING:
    from desireline.connectors.documents import TextTemplate

#: Shown in every before/after table, in this order.
MEASURES: tuple[Measure, ...] = tuple(
    parse(f"{name}@{cutoff}")
    for cutoff in (20, 10)
    for name in ("mrr", "recall", "map", "ndcg", "hit")
)
_DEPTH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """Answers and numbers of every ranker, over the same queries."""

    runs: Mapping[str, Run]
    evaluations: Mapping[str, Evaluation]

    @property
    def table(self) -> dict[str, dict[str, Interval]]:
        """Mean and interval by ranker and measure."""
        return {
            ranker: {str(measure): _interval(evaluation, measure) for measure in evaluation.values}
            for ranker, evaluation in self.evaluations.items()
        }

    def compare(
        self,
        candidate: str,
        incumbent: str,
        segments: Mapping[str, str] | None = None,
        *,
        confidence: float = CONFIDENCE,
    ) -> Comparison:
        """Pair two rankers query by query."""
        return compare(
            self.evaluations[candidate],
            self.evaluations[incumbent],
            segments=segments or {},
            confidence=confidence,
        )

    def gain(self, candidate: str, incumbent: str) -> dict[str, Interval]:
        """Return the paired difference of every measure with its interval."""
        comparison = self.compare(candidate, incumbent)
        measured = self.evaluations[candidate].values
        gains = {str(measure): comparison.of(measure).gain for measure in measured}
        return {
            name: Interval(value=gain.mean, low=gain.low, high=gain.high)
            for name, gain in gains.items()
        }


class Reading:
    """The documents of a target as its encoders read them; the index is read once a template."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._documents: dict[TextTemplate, dict[str, DocumentText]] = {}

    def documents(self, fingerprint: str) -> dict[str, DocumentText]:
        """Return every document as an encoder reads it."""
        template = self._target.registry.get(fingerprint).text_template
        if template not in self._documents:
            self._documents[template] = document_texts(self._target, fingerprint)
        return self._documents[template]

    def texts(self, fingerprint: str) -> dict[str, str]:
        """Return every document rendered as an encoder wants it."""
        return {key: document.text for key, document in self.documents(fingerprint).items()}


class Answers:
    """What rankers answered before, for others to be compared with again in the same cycle.

    It is theirs of the moment they were asked, and kept for the very same queries alone.
    """

    def __init__(self) -> None:
        self._runs: dict[tuple[str, tuple[str, ...]], Run] = {}

    def of(self, ranker: str, queries: Sequence[str], ask: Callable[[], Run]) -> Run:
        """Return a ranker's answers to some queries, asking it the first time."""
        key = (ranker, tuple(queries))
        if key not in self._runs:
            self._runs[key] = ask()
        return self._runs[key]


def examine(
    target: Target,
    qrels: Qrels,
    fingerprints: Mapping[str, str],
    reporter: Reporter,
    *,
    measures: tuple[Measure, ...] = MEASURES,
    by: Callable[[Run, Qrels, tuple[Measure, ...]], Evaluation] = evaluate,
    also: AbstractSet[str] = frozenset(),
    reading: Reading | None = None,
    answers: Answers | None = None,
) -> Examination:
    """Let BM25 and each encoder answer the queries of the truth, and measure the answers.

    Args:
        target: whose documents are ranked.
        qrels: query to graded documents.
        fingerprints: encoders by the name they have in the table.
        reporter: told of progress.
        measures: what is measured.
        by: `evaluate` for a certain truth, `evaluate_clicks` for one made of clicks.
        also: more queries that the encoders answer; they are not measured.
        reading: of the documents, where somebody has read them already.
        answers: of rankers, where some may have been asked already.

    """
    queries = sorted(qrels)
    asked = sorted({*queries, *also})
    reading = reading or Reading(target)
    answers = answers or Answers()
    runs = {"bm25": answers.of("bm25", queries, lambda: _by_words(target, queries, reporter))}
    for name, fingerprint in fingerprints.items():
        by_vectors = partial(_by_vectors, target, fingerprint, asked, reading)
        runs[name] = answers.of(fingerprint, asked, by_vectors)
        reporter.progress("evaluation", len(runs) - 1, len(fingerprints), ranker=name)
    return Examination(
        runs=runs,
        evaluations={name: by(run, qrels, measures) for name, run in runs.items()},
    )


def rendered_documents(target: Target, fingerprint: str) -> dict[str, str]:
    """Every document of the index, rendered as the encoder wants it."""
    documents = document_texts(target, fingerprint)
    return {document_id: document.text for document_id, document in documents.items()}


def document_texts(target: Target, fingerprint: str) -> dict[str, DocumentText]:
    """Every document of the index as the encoder reads it."""
    template = target.registry.get(fingerprint).text_template
    read = Read(fields=template.fields, batch_size=1000)
    return {
        document.document_id: DocumentText.of(document.fields, template)
        for documents in target.engine.scan(target.config.index, read)
        for document in documents
    }


def _by_vectors(target: Target, fingerprint: str, queries: Sequence[str], reading: Reading) -> Run:
    return rank_exact(target.encoder(fingerprint), queries, reading.texts(fingerprint), k=_DEPTH)


def _by_words(target: Target, queries: list[str], reporter: Reporter) -> Run:
    run = {}
    for number, query in enumerate(queries, 1):
        hits = target.engine.search_text(target.config.index, target.config.boosts, query, _DEPTH)
        run[query] = tuple(hit.document_id for hit in hits)
        reporter.progress("bm25", number, len(queries))
    return run


def _interval(evaluation: Evaluation, measure: Measure) -> Interval:
    found = evaluation.interval(measure)
    return Interval(value=found.mean, low=found.low, high=found.high)
