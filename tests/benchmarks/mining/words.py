"""BM25 over documents in memory, to stand beside the encoders and to search with."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from desireline.trainer.documents.text import DocumentText
from desireline.trainer.measures.base import Run

_WORD = re.compile(r"\w+")
#: Words are compared by their first letters: a stem without knowing the language.
_STEM_LETTERS = 5
#: As often as this the words of a title count.
_TITLE = 3
_K1, _B = 1.2, 0.75


class Words:
    """Okapi BM25 over stems, the title boosted."""

    def __init__(self, documents: Mapping[str, DocumentText]) -> None:
        self._names = list(documents)
        counts = [
            Counter(_stems(document.title) * _TITLE + _stems(document.rest))
            for document in documents.values()
        ]
        lengths = np.array([sum(count.values()) for count in counts], dtype=np.float64)
        norm = _K1 * (1 - _B + _B * lengths / max(lengths.mean(), 1.0))
        found: dict[str, list[tuple[int, int]]] = {}
        for row, count in enumerate(counts):
            for word, times in count.items():
                found.setdefault(word, []).append((row, times))
        self._postings = {}
        for word, rows in found.items():
            at = np.array([row for row, _ in rows])
            times = np.array([t for _, t in rows], dtype=np.float64)
            rarity = np.log(1 + (len(counts) - len(rows) + 0.5) / (len(rows) + 0.5))
            self._postings[word] = (at, rarity * times * (_K1 + 1) / (times + norm[at]))

    def rank(self, queries: Sequence[str], k: int) -> Run:
        """Rank the documents that share a word with each query, best first."""
        run: dict[str, tuple[str, ...]] = {}
        for query in queries:
            scores = np.zeros(len(self._names))
            for word in _stems(query):
                if word in self._postings:
                    at, points = self._postings[word]
                    scores[at] += points
            best = np.argsort(-scores, kind="stable")[:k]
            run[query] = tuple(self._names[row] for row in best if scores[row] > 0)
        return run


def _stems(text: str) -> list[str]:
    return [word[:_STEM_LETTERS] for word in _WORD.findall(text.casefold())]
