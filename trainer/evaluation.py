"""Truth and answers become numbers with intervals, and differences that can be believed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from desireline.trainer.encoders.base import Encoder
from desireline.trainer.errors import NotComparableError
from desireline.trainer.measures.base import Grades, Measure, Qrels, Run

Values = NDArray[np.float64]
"""One number a query, shape (queries,)."""

#: An interval holds what it is of this often, unless another is asked for.
CONFIDENCE = 0.95
_RESAMPLES = 2_000
_QUERIES_AT_ONCE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate and the bounds that hold it 95 times in 100 (or as the confidence says)."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Every measure of every query that has a truth, in one order.

    The mean of a measure is the sum of its values over the sum of the weights.
    """

    queries: tuple[str, ...]
    values: Mapping[Measure, Values]
    #: How much truth each query holds: 1, or what its clicks are worth.
    weights: Values

    def mean(self, measure: Measure) -> float:
        """Return the mean over the queries; 0 without truth."""
        return _mean(self.values[measure], self.weights)

    def interval(self, measure: Measure, *, seed: int = 0) -> Interval:
        """Return the mean and its bootstrap interval over queries."""
        return _bootstrap(self.values[measure], self.weights, seed)

    def table(self) -> dict[str, float]:
        """Return the means by the printed name of each measure."""
        return {str(measure): self.mean(measure) for measure in self.values}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a measure gained from incumbent to candidate, query by query."""

    measure: Measure
    #: Name of the group of queries; empty for all of them.
    segment: str
    #: Those with any truth: a query that nobody clicked for proves nothing by itself.
    queries: int
    incumbent: float
    candidate: float
    #: Of candidate minus incumbent, paired by query.
    gain: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Candidate against incumbent over the same queries: all of them, then by segment."""

    differences: tuple[Difference, ...]

    def of(self, measure: Measure, segment: str = "") -> Difference:
        """Return one difference. Raises NotComparableError if it was not measured."""
        for difference in self.differences:
            if (difference.measure, difference.segment) == (measure, segment):
                return difference
        raise NotComparableError(
            f"{measure} was not measured on {segment or 'the held-out queries'}"
        )

    @property
    def segments(self) -> tuple[str, ...]:
        """The names of the segments that have queries."""
        return tuple(dict.fromkeys(d.segment for d in self.differences if d.segment))


def evaluate(run: Run, qrels: Qrels, measures: Sequence[Measure]) -> Evaluation:
    """Measure a run on every query of the truth; a query without answers counts 0."""
    queries = tuple(sorted(qrels))
    return Evaluation(
        queries=queries,
        values={
            measure: np.array(
                [measure.value(run.get(query, ()), qrels[query]) for query in queries],
                dtype=np.float64,
            )
            for measure in measures
        },
        weights=np.ones(len(queries)),
    )


def evaluate_clicks(run: Run, qrels: Qrels, measures: Sequence[Measure]) -> Evaluation:
    """Measure a run on a truth made of clicks, where grades are right on average only.

    Every document of a query is a question of its own: it is measured as if it alone were
    relevant, and counts by its grade, which may be below zero. So every measure becomes linear
    in the grades, and the noise in them averages out; see `corrected_qrels`. On a certain truth
    with one relevant document a query this is what `evaluate` gives.
    """
    queries = tuple(sorted(qrels))
    return Evaluation(
        queries=queries,
        values={
            measure: np.array(
                [_value_of_each(measure, run.get(query, ()), qrels[query]) for query in queries],
                dtype=np.float64,
            )
            for measure in measures
        },
        weights=np.array([sum(qrels[query].values()) for query in queries], dtype=np.float64),
    )


def compare(
    candidate: Evaluation,
    incumbent: Evaluation,
    *,
    segments: Mapping[str, str] | None = None,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Pair both evaluations query by query.

    Args:
        candidate: the encoder just trained.
        incumbent: the encoder that serves, over the same queries and measures.
        segments: the segment of each query; queries left out belong to none.
        seed: of the bootstrap.
        confidence: how often the interval of each difference holds it.

    Raises:
        NotComparableError: other queries or other measures.

    """
    if candidate.queries != incumbent.queries or set(candidate.values) != set(incumbent.values):
        raise NotComparableError(
            "the candidate and the incumbent were not measured on the same queries and measures"
        )
    groups = {"": np.arange(len(candidate.queries)), **_rows_of(candidate.queries, segments or {})}
    return Comparison(
        differences=tuple(
            _difference(
                candidate, incumbent, measure, _Group(name, rows, seed=seed, confidence=confidence)
            )
            for name, rows in groups.items()
            for measure in candidate.values
        )
    )


def rank_exact(
    encoder: Encoder, queries: Sequence[str], documents: Mapping[str, str], *, k: int
) -> Run:
    """Rank every document for every query by the encoder alone, without an index.

    Args:
        encoder: whose vectors are compared, by inner product (cosine ones are normalised).
        queries: what users typed.
        documents: rendered input by document_id; empty inputs are never an answer.
        k: answers a query.

    """
    document_ids = [document_id for document_id, text in documents.items() if text]
    if not queries or not document_ids:
        return dict.fromkeys(queries, ())
    matrix = encoder.encode_documents([documents[document_id] for document_id in document_ids])
    vectors = encoder.encode_queries(list(queries))
    run: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        scores = vectors[start : start + _QUERIES_AT_ONCE] @ matrix.T
        for query, row in zip(queries[start : start + _QUERIES_AT_ONCE], scores, strict=True):
            run[query] = tuple(document_ids[index] for index in _best(row, k))
    return run


def by_frequency(searches: Mapping[str, int]) -> dict[str, str]:
    """Call the queries that make up a third of all searches each head, torso and tail.

    Queries searched equally often go to the same segment, and those searched least are the tail
    however many they are: in most logs half of all searches are typed once.
    """
    total = sum(searches.values())
    names: dict[int, str] = {}
    seen = 0
    for count, alike in sorted(Counter(searches.values()).items(), reverse=True):
        names[count] = "head" if seen < total / 3 else "torso" if seen < 2 * total / 3 else "tail"
        seen += count * alike
    if names:
        names[min(names)] = "tail"
    return {query: names[count] for query, count in sorted(searches.items())}


def _best(scores: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Find the k highest scores, ties in the order of the documents; no number is no answer."""
    scores = np.where(np.isfinite(scores), scores, -np.inf)
    candidates = np.flatnonzero(scores > -np.inf)
    if k < candidates.size:
        lowest = np.partition(scores, scores.size - k)[scores.size - k]
        candidates = np.flatnonzero(scores >= lowest)
    return candidates[np.argsort(-scores[candidates], kind="stable")][:k]


def _rows_of(queries: Sequence[str], segments: Mapping[str, str]) -> dict[str, NDArray[np.intp]]:
    names = np.array([segments.get(query, "") for query in queries], dtype=object)
    return {name: np.flatnonzero(names == name) for name in sorted(set(names) - {""})}


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    rows: NDArray[np.intp]
    seed: int
    confidence: float


def _difference(
    candidate: Evaluation, incumbent: Evaluation, measure: Measure, group: _Group
) -> Difference:
    weights = candidate.weights[group.rows]
    after, before = candidate.values[measure][group.rows], incumbent.values[measure][group.rows]
    return Difference(
        measure=measure,
        segment=group.name,
        queries=int((weights > 0).sum()),
        incumbent=_mean(before, weights),
        candidate=_mean(after, weights),
        gain=_bootstrap(after - before, weights, group.seed, group.confidence),
    )


def _value_of_each(measure: Measure, ranked: Sequence[str], grades: Grades) -> float:
    found = ranked[: measure.cutoff]
    worth = (
        grades[document_id] * _value_at(measure, len(found), place)
        for place, document_id in enumerate(found)
        if document_id in grades
    )
    return sum(worth, start=0.0)


@lru_cache(maxsize=10_000)
def _value_at(measure: Measure, answers: int, place: int) -> float:
    """Measure a list of so many answers of which one alone is relevant: its name is nothing."""
    ranked = [str(number) for number in range(answers)]
    return measure.value(ranked, {ranked[place]: 1.0})


def _mean(values: Values, weights: Values) -> float:
    total = float(weights.sum())
    return float(values.sum()) / total if total > 0 else 0.0


def _bootstrap(
    values: Values, weights: Values, seed: int, confidence: float = CONFIDENCE
) -> Interval:
    """Resample queries with replacement and take the percentiles of the mean at both ends.

    The sum of the weights is not resampled: few clicks would let it come near zero.
    """
    scale = values.size / weights.sum() if weights.sum() > 0 else 0.0
    if not scale:
        return Interval(mean=0.0, low=0.0, high=0.0)
    means = _draws(values.size, seed) @ values / values.size
    low, high = np.percentile(means * scale, [50 * (1 - confidence), 50 * (1 + confidence)])
    return Interval(mean=_mean(values, weights), low=float(low), high=float(high))


@lru_cache(maxsize=3)
def _draws(size: int, seed: int) -> NDArray[np.float64]:
    """How often each query is in each resample; shape (resamples, queries).

    Every measure of the same queries is resampled alike, so the draws are kept for the next one.
    """
    random = np.random.default_rng(seed)
    at_once = 100
    rows = np.arange(at_once)[:, None] * size
    return np.concatenate(
        [
            np.bincount(
                (random.integers(0, size, size=(at_once, size)) + rows).ravel(),
                minlength=at_once * size,
            ).reshape(at_once, size)
            for _ in range(_RESAMPLES // at_once)
        ]
    ).astype(np.float64)
