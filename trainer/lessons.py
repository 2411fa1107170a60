"""Pairs as numbered rows, so that a batch is a list of numbers and texts are read once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desireline.trainer.errors import NothingToLearnError
from desireline.trainer.pairs import Pair, PairSet, Passage

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """One row a pair; passages and documents are numbered across all of them.

    A batch encodes each of its passages once, and every row of the batch learns against all
    of them but those that may be right for it.
    """

    anchors: tuple[str, ...]
    passages: tuple[Passage, ...]
    #: Row to passage.
    positive: Indices
    #: Row to the passages that it brings into its batch as negatives.
    negatives: tuple[Indices, ...]
    #: Shape (rows,).
    weight: NDArray[np.float32]
    #: Row to how right its positive is, 0 to 1; shape (rows,).
    score: NDArray[np.float32]
    #: Row to a teacher's margins over its negatives; empty where it has none.
    margins: tuple[NDArray[np.float32], ...]
    #: Passage to document; two passages of one document never teach against each other.
    document: Indices
    #: Row to the documents that may be right for it, its own among them.
    related: tuple[frozenset[int], ...]

    @classmethod
    def of(cls, pair_set: PairSet, *, hard_negatives: int) -> "Lessons":
        """Give numbers to the pairs; each keeps its first `hard_negatives` negatives.

        Raises:
            NothingToLearnError: fewer than two documents, so nothing can be told apart.

        """
        pairs = pair_set.pairs
        kept = [pair.negatives[:hard_negatives] for pair in pairs]
        passages = {
            passage: number
            for number, passage in enumerate(
                dict.fromkeys(
                    [pair.positive for pair in pairs] + [one for some in kept for one in some]
                )
            )
        }
        documents = _numbered([passage.document_id for passage in passages])
        twins = _twins(passages)
        if len(documents) < 2:  # noqa: PLR2004 - a choice needs two
            raise NothingToLearnError(
                f"{len(pairs)} pairs of {len(documents)} documents leave nothing to tell apart",
                next_step="gather more clicks, or lower the miner's min_grade",
            )
        return cls(
            anchors=tuple(pair.anchor for pair in pairs),
            passages=tuple(passages),
            positive=np.array([passages[pair.positive] for pair in pairs], dtype=np.intp),
            negatives=tuple(
                np.array([passages[one] for one in some], dtype=np.intp) for some in kept
            ),
            weight=np.array([pair.weight for pair in pairs], dtype=np.float32),
            score=np.array([pair.score for pair in pairs], dtype=np.float32),
            margins=tuple(
                np.array(pair.margins[:hard_negatives], dtype=np.float32) for pair in pairs
            ),
            document=np.array([documents[one.document_id] for one in passages], dtype=np.intp),
            related=tuple(_related(pair, pair_set, documents, twins) for pair in pairs),
        )

    def passages_of(self, rows: Sequence[int]) -> Indices:
        """Return the distinct passages that a batch of rows encodes, in ascending order."""
        brought = [self.negatives[row] for row in rows]
        return np.unique(np.concatenate([self.positive[list(rows)], *brought]))

    def forbidden(self, rows: Sequence[int], passages: Indices) -> NDArray[np.bool_]:
        """Say which passages are neither the target nor a fair negative of each row.

        Shape (rows, passages). True where the passage's document may be right for the row's
        anchor and the passage is not the row's own positive.
        """
        document = self.document[passages]
        columns: dict[int, list[int]] = {}
        for column, number in enumerate(document.tolist()):
            columns.setdefault(number, []).append(column)
        mask = np.zeros((len(rows), len(passages)), dtype=np.bool_)
        for line, row in enumerate(rows):
            for number in self.related[row] & columns.keys():
                mask[line, columns[number]] = True
        mask[passages == self.positive[list(rows)][:, None]] = False
        return mask


def _numbered(names: Sequence[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def _twins(passages: Iterable[Passage]) -> dict[str, frozenset[str]]:
    """Give the documents that hold the very text of another one, with those that hold it too."""
    holders: dict[str, set[str]] = {}
    for passage in passages:
        holders.setdefault(passage.text, set()).add(passage.document_id)
    twins: dict[str, frozenset[str]] = {}
    for same in holders.values():
        if len(same) > 1:
            for name in same:
                twins[name] = twins.get(name, frozenset()) | same
    return twins


def _related(
    pair: Pair,
    pair_set: PairSet,
    documents: dict[str, int],
    twins: dict[str, frozenset[str]],
) -> frozenset[int]:
    """Give the numbers of what may be right for the anchor: told so, or equal to what is."""
    known = pair_set.related.get(pair.anchor, frozenset()) | {pair.positive.document_id}
    known = known.union(*(twins[name] for name in known if name in twins))
    return frozenset(documents[name] for name in known if name in documents)
