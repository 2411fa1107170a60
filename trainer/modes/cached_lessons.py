"""Pairs over document vectors that stay as they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desireline.trainer.documents.vectors import DocumentVectors
from desireline.trainer.errors import NothingToLearnError
from desireline.trainer.lessons import Indices
from desireline.trainer.pairs import Pair, PairSet


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedLessons:
    """One row a pair; documents are numbered as their vectors are.

    A document without a vector teaches nothing: it left the index since the click.
    """

    #: Each once.
    anchors: tuple[str, ...]
    #: Row to anchor.
    anchor: Indices
    #: Row to document.
    positive: Indices
    #: Row to the documents that its batch must hold: its positive and its mined negatives.
    brought: tuple[Indices, ...]
    #: Row to the documents that may be right for it beside its positive.
    related: tuple[Indices, ...]
    #: Shape (rows,).
    weight: NDArray[np.float32]
    documents: int

    @classmethod
    def of(cls, pair_set: PairSet, documents: DocumentVectors) -> "CachedLessons":
        """Give numbers to the pairs.

        Raises:
            NothingToLearnError: fewer than two documents, so nothing can be told apart.

        """
        numbers = {name: number for number, name in enumerate(documents.document_ids)}
        pairs = [pair for pair in pair_set.pairs if pair.positive.document_id in numbers]
        if not pairs or len(numbers) < 2:  # noqa: PLR2004 - a choice needs two
            raise NothingToLearnError(
                f"{len(pairs)} pairs over {len(numbers)} document vectors leave nothing to tell"
                " apart",
                next_step="gather more clicks, or lower the miner's min_grade",
            )
        anchors = {name: n for n, name in enumerate(dict.fromkeys(pair.anchor for pair in pairs))}
        return cls(
            anchors=tuple(anchors),
            anchor=np.array([anchors[pair.anchor] for pair in pairs], dtype=np.intp),
            positive=np.array(
                [numbers[pair.positive.document_id] for pair in pairs], dtype=np.intp
            ),
            brought=tuple(
                _known(numbers, [each.document_id for each in (pair.positive, *pair.negatives)])
                for pair in pairs
            ),
            related=tuple(_known(numbers, _others(pair, pair_set)) for pair in pairs),
            weight=np.array([pair.weight for pair in pairs], dtype=np.float32),
            documents=len(numbers),
        )

    def candidates(self, rows: Indices, most: int, random: np.random.Generator) -> Indices:
        """Return the documents that some rows learn against, in ascending order.

        All where there are no more than `most`; else what the rows bring, and others drawn by
        chance until there are about so many.
        """
        if self.documents <= most:
            return np.arange(self.documents)
        brought = np.concatenate([self.brought[row] for row in rows])
        drawn = random.integers(0, self.documents, size=max(0, most - len(brought)))
        return np.unique(np.concatenate([brought, drawn]))

    def forbidden(self, rows: Indices, candidates: Indices) -> NDArray[np.bool_]:
        """Say which candidates are neither the target nor a fair negative of each row.

        Shape (rows, candidates).
        """
        related = [self.related[row] for row in rows.tolist()]
        line = np.repeat(np.arange(len(rows)), [len(some) for some in related])
        document = np.concatenate(related)
        column = np.minimum(np.searchsorted(candidates, document), len(candidates) - 1)
        there = candidates[column] == document
        mask = np.zeros((len(rows), len(candidates)), dtype=np.bool_)
        mask[line[there], column[there]] = True
        return mask


def _known(numbers: Mapping[str, int], names: Sequence[str]) -> Indices:
    found = dict.fromkeys(numbers[name] for name in names if name in numbers)
    return np.array(list(found), dtype=np.intp)


def _others(pair: Pair, pair_set: PairSet) -> list[str]:
    known = pair_set.related.get(pair.anchor, frozenset())
    return sorted(known - {pair.positive.document_id})
