"""Which pairs learn together: many queries, few documents, and those alike."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desireline.trainer.lessons import Indices, Lessons

MOST_AGAIN = 5
"""How many times as often as asked for pairs are seen at most where they make few batches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """How a batch is put together."""

    #: Distinct documents in a batch; every one is a negative of the others' anchors.
    documents: int
    #: Most pairs of one document in one batch; a document is encoded once for all of them.
    pairs_a_document: int
    #: Documents that come together because they are alike; 1 draws each by itself.
    alike: int


def schedule(
    lessons: Lessons,
    plan: BatchPlan,
    *,
    steps: int,
    epochs: float,
    least_steps: int = 1,
    likeness: NDArray[np.float32] | None,
    seed: int,
) -> list[Indices]:
    """Draw the rows of every batch of a training, in order.

    Args:
        lessons: the pairs.
        plan: how a batch is put together.
        steps: most batches.
        epochs: times that every pair is seen; there is always one batch.
        least_steps: while there are fewer batches, pairs are seen more often, up to `MOST_AGAIN`
            times as often.
        likeness: documents (by number) as unit vectors, shape (documents, dimension); None
            draws every document by itself.
        seed: of the draw.

    """
    random = np.random.default_rng(seed)
    batches: list[Indices] = []
    seen = 0
    while len(batches) < steps:
        for batch in _epoch(lessons, plan, likeness, random):
            again = 1 if len(batches) >= least_steps else MOST_AGAIN
            if batches and seen + len(batch) > again * epochs * len(lessons.anchors):
                return batches
            batches.append(batch)
            seen += len(batch)
            if len(batches) == steps:
                break
    return batches


def _epoch(
    lessons: Lessons,
    plan: BatchPlan,
    likeness: NDArray[np.float32] | None,
    random: np.random.Generator,
) -> Iterator[Indices]:
    """Yield batches until too few documents are left to learn against."""
    pending = _portions(lessons, plan.pairs_a_document, random)
    enough = min(plan.documents, len(pending)) // 2
    while len(pending) > max(1, enough - 1):
        chosen = _choose(pending, plan, likeness, random)
        yield np.concatenate([pending[number].pop() for number in chosen])
        for number in chosen:
            if not pending[number]:
                del pending[number]


def _portions(lessons: Lessons, most: int, random: np.random.Generator) -> dict[int, list[Indices]]:
    """Cut the shuffled rows of each document into portions for one batch each."""
    document = lessons.document[lessons.positive]
    rows = random.permutation(len(document))
    by_document = rows[np.argsort(document[rows], kind="stable")]
    numbers, starts = np.unique(document[by_document], return_index=True)
    return {
        int(number): [some[at : at + most] for at in range(0, len(some), most)]
        for number, some in zip(numbers, np.split(by_document, starts[1:]), strict=True)
    }


def _choose(
    pending: dict[int, list[Indices]],
    plan: BatchPlan,
    likeness: NDArray[np.float32] | None,
    random: np.random.Generator,
) -> list[int]:
    """Draw documents, those with many portions more often, each with its nearest ones."""
    numbers = np.array(sorted(pending))
    waiting = np.array([len(pending[number]) for number in numbers.tolist()], dtype=np.float64)
    count = min(plan.documents, len(numbers))
    alone = plan.alike <= 1 or likeness is None
    draws = count if alone else max(1, count // plan.alike)
    drawn = numbers[random.choice(len(numbers), draws, replace=False, p=waiting / waiting.sum())]
    if likeness is None or alone:
        return [int(number) for number in drawn]
    chosen = dict.fromkeys(int(number) for number in drawn)
    for number in drawn:
        nearest = np.argsort(-(likeness[numbers] @ likeness[number]), kind="stable")
        fresh = [int(numbers[each]) for each in nearest if int(numbers[each]) not in chosen]
        chosen.update(dict.fromkeys(fresh[: min(plan.alike - 1, count - len(chosen))]))
    return list(chosen)
