"""The best of many scores, seen a block at a time."""

import numpy as np
from numpy.typing import NDArray

NOTHING = -1
"""In the place of a document where too few were found."""


class BestOf:
    """Keeps the k best documents of each query; of equal scores, the one of the lower number.

    Blocks come in the order of the documents' numbers. Memory is that of one block and of k hits
    a query, whatever the number of documents. A score of -inf is no hit.
    """

    def __init__(self, queries: int, k: int) -> None:
        self._k = k
        self._scores = np.full((queries, k), -np.inf, dtype=np.float32)
        self._documents = np.full((queries, k), NOTHING, dtype=np.int64)

    @property
    def documents(self) -> NDArray[np.int64]:
        """Numbers of the documents, best first; shape (queries, k), `NOTHING` at the end."""
        return self._documents

    def add(self, first: int, scores: NDArray[np.float32]) -> None:
        """Take the next block.

        Args:
            first: number of its first document.
            scores: shape (queries, documents of the block).

        """
        query, column = np.nonzero(scores > self._floor(scores))
        if not len(query):
            return
        queries = len(self._scores)
        of = np.concatenate([np.repeat(np.arange(queries), self._k), query])
        document = np.concatenate([self._documents.ravel(), first + column])
        score = np.concatenate([self._scores.ravel(), scores[query, column]])
        order = np.lexsort((document, -score, of))
        starts = np.searchsorted(of[order], np.arange(queries))
        kept = order[np.arange(len(order)) - starts[of[order]] < self._k]
        self._documents = document[kept].reshape(queries, self._k)
        self._scores = score[kept].reshape(queries, self._k)

    def _floor(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what a score must be above: the k-th so far, or just below the block's k-th."""
        worst = self._scores[:, -1:]
        if scores.shape[1] <= self._k:
            return worst
        at = scores.shape[1] - self._k
        best_of_block = np.partition(scores, at, axis=1)[:, at : at + 1]
        return np.maximum(worst, np.nextafter(best_of_block, np.float32(-np.inf)))
