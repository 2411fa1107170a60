"""Which queries a new encoder answers differently: what it wins most by, and what it loses."""

from collections.abc import Sequence
from dataclasses import dataclass

from desireline.trainer.measures.base import Measure, Qrels, Run

DEPTH = 10
"""Answers that are compared: the first page of most applications."""
_PERSISTENCE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One query before and after."""

    query: str
    #: The first ten answers.
    before: tuple[str, ...]
    after: tuple[str, ...]
    #: 0: the same answers in the same order; 1: none in common.
    distance: float
    #: What the measure gained; negative where the new answers are worse.
    gain: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What became of some queries, and the largest examples of both kinds."""

    #: Looked at, and of those: answered otherwise, better, worse.
    queries: int
    changed: int
    better: int
    worse: int
    #: Largest gain first, largest loss first.
    wins: tuple[Change, ...]
    losses: tuple[Change, ...]


def largest_changes(
    before: Run, after: Run, qrels: Qrels, *, measure: Measure, most: int
) -> Changes:
    """Compare the first ten answers to every query of the truth.

    Args:
        before: answers of the incumbent.
        after: answers of the candidate.
        qrels: what is wanted; only its queries are looked at.
        measure: that says which answers are better.
        most: examples of each kind. Of equal gains that comes first whose answers changed more,
            then the alphabet decides, so the same answers give the same examples.

    """
    found = [_change(query, before, after, qrels, measure) for query in sorted(qrels)]
    wins = sorted((each for each in found if each.gain > 0), key=_largest_first)
    losses = sorted((each for each in found if each.gain < 0), key=_largest_first)
    return Changes(
        queries=len(found),
        changed=sum(each.before != each.after for each in found),
        better=len(wins),
        worse=len(losses),
        wins=tuple(wins[:most]),
        losses=tuple(losses[:most]),
    )


def distance(before: Sequence[str], after: Sequence[str]) -> float:
    """1 minus the rank-biased overlap of the first ten answers (Webber et al. 2010), p = 0.9.

    Normalised so that equal lists are at distance 0 in spite of the cut at ten.
    """
    depth = min(DEPTH, max(len(before), len(after)))
    weights = [_PERSISTENCE**place for place in range(depth)]
    shared = (
        len(set(before[:place]) & set(after[:place]))
        / max(1, min(place, max(len(before), len(after))))
        for place in range(1, depth + 1)
    )
    overlap = sum(weight * share for weight, share in zip(weights, shared, strict=True))
    return 1 - overlap / sum(weights) if weights else 0.0


def _largest_first(change: Change) -> tuple[float, float, str]:
    return -abs(change.gain), -change.distance, change.query


def _change(query: str, before: Run, after: Run, qrels: Qrels, measure: Measure) -> Change:
    old, new = tuple(before.get(query, ())), tuple(after.get(query, ()))
    return Change(
        query=query,
        before=old[:DEPTH],
        after=new[:DEPTH],
        distance=distance(old, new),
        gain=measure.value(new, qrels[query]) - measure.value(old, qrels[query]),
    )
