"""Which queries a new encoder answers differently."""

from collections.abc import Sequence
from dataclasses import dataclass

from desireline.trainer.measures.base import Measure, Qrels, Run

_DEPTH = 10
_PERSISTENCE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One query before and after."""

    query: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    #: 0: the same answers in the same order; 1: none in common.
    distance: float
    #: What the measure gained; negative where the new answers are worse.
    gain: float


def changed_most(
    before: Run, after: Run, qrels: Qrels, n: int, *, measure: Measure
) -> list[Change]:
    """Return the n queries of the truth whose first ten answers changed most, better or worse."""
    changes = (
        _change(query, tuple(before.get(query, ())), tuple(after.get(query, ())), qrels, measure)
        for query in qrels
    )
    return sorted(changes, key=lambda change: (-change.distance, change.query))[:n]


def distance(before: Sequence[str], after: Sequence[str]) -> float:
    """1 minus the rank-biased overlap of the first ten answers (Webber et al. 2010), p = 0.9.

    Normalised so that equal lists are at distance 0 in spite of the cut at ten.
    """
    depth = min(_DEPTH, max(len(before), len(after)))
    weights = [_PERSISTENCE**place for place in range(depth)]
    shared = (
        len(set(before[:place]) & set(after[:place]))
        / max(1, min(place, max(len(before), len(after))))
        for place in range(1, depth + 1)
    )
    overlap = sum(weight * share for weight, share in zip(weights, shared, strict=True))
    return 1 - overlap / sum(weights) if weights else 0.0


def _change(
    query: str, before: tuple[str, ...], after: tuple[str, ...], qrels: Qrels, measure: Measure
) -> Change:
    return Change(
        query=query,
        before=before[:_DEPTH],
        after=after[:_DEPTH],
        distance=distance(before, after),
        gain=measure.value(after, qrels[query]) - measure.value(before, qrels[query]),
    )
