"""BM25 over one text field, held in memory.

Robertson & Zaragoza, The Probabilistic Relevance Framework (2009), with Lucene's
never-negative idf: ln(1 + (N - n + 0.5) / (n + 0.5)).
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping

K1 = 1.2
"""How fast repeated words saturate; Lucene's default."""

B = 0.75
"""How much long texts are held back; Lucene's default."""

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Split like OpenSearch's standard analyzer on plain text: lower case, no stemming."""
    return _WORD.findall(text.lower())


class FieldIndex:
    """Postings of one field; documents without a word in it do not count."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._postings: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._lengths: dict[str, int] = {}
        for document_id, text in texts.items():
            counts = Counter(words(text))
            if counts:
                self._lengths[document_id] = counts.total()
            for word, count in counts.items():
                self._postings[word].append((document_id, count))
        self._mean = sum(self._lengths.values()) / max(len(self._lengths), 1)

    def score(self, text: str) -> dict[str, float]:
        """Return the score of every document that shares a word with the text."""
        scores: dict[str, float] = defaultdict(float)
        for word in words(text):
            postings = self._postings.get(word, ())
            for document_id, count in postings:
                scores[document_id] += self._weight(len(postings), count, document_id)
        return dict(scores)

    def _weight(self, documents: int, count: int, document_id: str) -> float:
        idf = math.log(1 + (len(self._lengths) - documents + 0.5) / (documents + 0.5))
        norm = 1 - B + B * self._lengths[document_id] / self._mean
        return idf * count / (count + K1 * norm)
