"""How right a head is on held-out queries, overall and on the long tail."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from desireline.connectors.documents import Vectors
from desireline.trainer.intent.head import IntentHead
from desireline.trainer.intent.lessons import IntentLessons, Shares
from desireline.trainer.measures.base import Qrels

Values = NDArray[np.float64]
"""One number a query, shape (queries,)."""

#: Of the figures, in the order in which tables show them.
FIGURES = ("accuracy", "top-3", "macro-f1", "calibration error", "log-loss")
EVERYWHERE, SELDOM, RARE = "all", "typed least", "rare categories"
#: A category that was held for less likely than this costs no more than this in log-loss.
_LEAST = 1e-4
_TOP, _BINS, _RESAMPLES, _AT_ONCE = 3, 10, 1_000, 50
#: Categories beyond those that hold this share of what queries ask for are rare.
_COMMON = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutIntents:
    """Queries that taught no head, and the categories of what was clicked for them."""

    queries: tuple[str, ...]
    categories: tuple[str, ...]
    #: Shape (queries, categories); rows add up to 1.
    shares: Shares
    #: Rows by part of the long tail.
    parts: Mapping[str, NDArray[np.intp]]

    def columns(self, confidences: Vectors, categories: Sequence[str]) -> Vectors:
        """Put the columns of a head where these categories have theirs; others never are right."""
        place = {category: column for column, category in enumerate(self.categories)}
        known = [(at, place[name]) for at, name in enumerate(categories) if name in place]
        whole = np.zeros((len(confidences), len(self.categories) + 1), dtype=np.float32)
        for at, column in known:
            whole[:, column] = confidences[:, at]
        strangers = [at for at, name in enumerate(categories) if name not in place]
        if strangers:
            whole[:, -1] = confidences[:, strangers].max(axis=1)
        return whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure over the queries and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentScore:
    """What one head, or anything else that names categories, reaches."""

    #: By part, then by figure.
    parts: Mapping[str, Mapping[str, Figure]]
    #: Of each query: how much of it the likeliest category holds.
    right: Values
    #: Of each query: its log-loss.
    losses: Values

    @property
    def overall(self) -> Mapping[str, Figure]:
        """The figures over all queries."""
        return self.parts[EVERYWHERE]


def held_out_intents(
    qrels: Qrels,
    categories: Mapping[str, Sequence[str]],
    *,
    segments: Mapping[str, str],
    lessons: IntentLessons,
) -> HeldOutIntents:
    """Return the categories of what held-out queries want.

    A grade counts for the categories of its document. Grades made of clicks are right on average
    and may be below zero: they are added up by category first, and what is left below zero then
    says nothing. Queries that want nothing with a category are left out.

    Args:
        qrels: grades by query and document.
        categories: by document_id.
        segments: head, torso or tail by query.
        lessons: which categories are asked for often.

    """
    found = {query: _wanted(grades, categories) for query, grades in sorted(qrels.items())}
    wanted = {query: shares for query, shares in found.items() if shares}
    names = tuple(sorted({name for shares in wanted.values() for name in shares}))
    place = {name: column for column, name in enumerate(names)}
    shares = np.zeros((len(wanted), len(names)), dtype=np.float32)
    for row, each in enumerate(wanted.values()):
        for name, share in each.items():
            shares[row, place[name]] = share
    common = _common_categories(lessons)
    best = [names[column] for column in shares.argmax(axis=1)] if names else []
    seldom = [segments.get(query) == "tail" for query in wanted]
    return HeldOutIntents(
        queries=tuple(wanted),
        categories=names,
        shares=shares,
        parts={
            SELDOM: np.flatnonzero(seldom),
            RARE: np.flatnonzero([name not in common for name in best]),
        },
    )


def score_head(
    head: IntentHead, vectors: Vectors, held_out: HeldOutIntents, *, seed: int = 0
) -> IntentScore:
    """Measure a head; `vectors` are those of the held-out queries by its own encoder."""
    found = held_out.columns(head.confidences(vectors), head.categories)
    return score(found, held_out, seed=seed)


def score_majority(
    lessons: IntentLessons, held_out: HeldOutIntents, *, seed: int = 0
) -> IntentScore:
    """Measure what needs no head: every query means what most queries mean."""
    mean = lessons.weights @ lessons.of_queries / max(float(lessons.weights.sum()), 1e-9)
    rows = np.repeat(np.asarray(mean, dtype=np.float32)[None], len(held_out.queries), axis=0)
    return score(held_out.columns(rows, lessons.categories), held_out, seed=seed)


def score(found: Vectors, held_out: HeldOutIntents, *, seed: int = 0) -> IntentScore:
    """Measure confidences as `HeldOutIntents.columns` returns them."""
    shares = np.pad(held_out.shares, ((0, 0), (0, 1)))
    seen = _Seen.of(found, shares)
    every = np.arange(len(shares))
    parts = {EVERYWHERE: every} | {name: rows for name, rows in held_out.parts.items() if len(rows)}
    return IntentScore(
        parts={name: _figures(seen.only(rows), seed) for name, rows in parts.items()},
        right=seen.right,
        losses=seen.losses,
    )


def difference(after: Values, before: Values, *, seed: int = 0) -> Figure:
    """Return the mean of after - before, paired by query."""
    return _figure(after - before, _draws(len(after), seed))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What of each query is measured."""

    right: Values
    in_three: Values
    losses: Values
    confidence: Values
    guessed: NDArray[np.intp]
    truth: NDArray[np.intp]

    @classmethod
    def of(cls, found: Vectors, shares: Shares) -> "_Seen":
        rows = np.arange(len(shares))[:, None]
        order = np.argsort(-found, axis=1, kind="stable")
        logs = np.log(np.clip(found, _LEAST, 1.0))
        return cls(
            right=shares[rows, order[:, :1]].sum(axis=1).astype(np.float64),
            in_three=shares[rows, order[:, :_TOP]].sum(axis=1).astype(np.float64),
            losses=-(shares * logs).sum(axis=1).astype(np.float64),
            confidence=found.max(axis=1).astype(np.float64),
            guessed=order[:, 0],
            truth=shares.argmax(axis=1),
        )

    def only(self, rows: NDArray[np.intp]) -> "_Seen":
        return _Seen(
            right=self.right[rows],
            in_three=self.in_three[rows],
            losses=self.losses[rows],
            confidence=self.confidence[rows],
            guessed=self.guessed[rows],
            truth=self.truth[rows],
        )


def _figures(seen: _Seen, seed: int) -> dict[str, Figure]:
    draws = _draws(len(seen.right), seed)
    return {
        "accuracy": _figure(seen.right, draws),
        "top-3": _figure(seen.in_three, draws),
        "macro-f1": _macro_f1(seen, draws),
        "calibration error": _calibration_error(seen, draws),
        "log-loss": _figure(seen.losses, draws),
    }


def _figure(values: Values, draws: Values) -> Figure:
    return _bounded(float(values.mean()), draws @ values / len(values))


def _bounded(value: float, resampled: Values) -> Figure:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Figure(value=value, low=float(low), high=float(high))


def _macro_f1(seen: _Seen, draws: Values) -> Figure:
    """Take the mean F1 of the categories that are the truth of some query."""
    names, truth = np.unique(seen.truth, return_inverse=True)
    guessed = np.searchsorted(names, seen.guessed)
    known = (guessed < len(names)) & (names[np.minimum(guessed, len(names) - 1)] == seen.guessed)
    size = len(names)

    def of(weights: Values) -> float:
        held = np.bincount(truth, weights, size)
        named = np.bincount(guessed[known], weights[known], size)
        hits = known & (guessed == truth)
        both = np.bincount(truth[hits], weights[hits], size)
        there = held > 0
        return float((2 * both[there] / (held + named)[there]).mean())

    return _bounded(of(np.ones(len(truth))), np.array([of(weights) for weights in draws]))


def _calibration_error(seen: _Seen, draws: Values) -> Figure:
    """Take the mean distance of confidence and accuracy over ten bins of equal size."""
    order = np.argsort(seen.confidence, kind="stable")
    edges = np.linspace(0, len(order), _BINS + 1).astype(int)
    bins = np.zeros(len(order), dtype=np.intp)
    for number, (start, end) in enumerate(pairwise(edges)):
        bins[order[start:end]] = number
    gaps = seen.confidence - seen.right

    def of(weights: Values) -> float:
        return float(np.abs(np.bincount(bins, weights * gaps, _BINS)).sum() / weights.sum())

    return _bounded(of(np.ones(len(gaps))), np.array([of(weights) for weights in draws]))


def _draws(size: int, seed: int) -> Values:
    """How often each query is in each resample; shape (resamples, queries)."""
    random = np.random.default_rng(seed)
    rows = np.arange(_AT_ONCE)[:, None] * size
    return np.concatenate(
        [
            np.bincount(
                (random.integers(0, size, size=(_AT_ONCE, size)) + rows).ravel(),
                minlength=_AT_ONCE * size,
            ).reshape(_AT_ONCE, size)
            for _ in range(_RESAMPLES // _AT_ONCE)
        ]
    ).astype(np.float64)


def _wanted(
    grades: Mapping[str, float], categories: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for document_id, grade in sorted(grades.items()):
        named = categories.get(document_id, ())
        for category in named:
            found[category] += grade / len(named)
    positive = {category: grade for category, grade in found.items() if grade > 0}
    total = sum(positive.values())
    return {category: grade / total for category, grade in positive.items()}


def _common_categories(lessons: IntentLessons) -> AbstractSet[str]:
    """Return the fewest categories that most of what queries ask for lies in."""
    asked = lessons.weights @ lessons.of_queries
    order = np.argsort(-asked, kind="stable")
    total = float(asked.sum())
    before = np.cumsum(asked[order]) - asked[order]
    return {lessons.categories[column] for column in order[before < _COMMON * total]}
