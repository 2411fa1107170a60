"""Documents found by their words: BM25, in blocks."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desireline.trainer.query_text import normalise
from desireline.trainer.synthesis.deadline import Deadline
from desireline.trainer.synthesis.pieces import Pieces
from desireline.trainer.synthesis.settings import BM25, Progress
from desireline.trainer.synthesis.sources import Documents
from desireline.trainer.synthesis.vectors import out_of_time

#: Documents whose words are in memory at a time.
BLOCK = 2_048
_WORD = re.compile(r"\w+")
_K1, _B = 1.2, 0.75

Numbers = NDArray[np.uint64]


class WordSearch:
    """Okapi BM25 (Robertson et al.) with Lucene's constants, over words as they are written.

    A word is known by 64 bits of its digest. In memory are one block, and for every distinct word
    of the catalogue in how many documents it stands.
    """

    name = BM25
    fingerprint = f"{BM25} {_K1} {_B} {BLOCK}"

    def __init__(self, documents: Documents, folder: Path) -> None:
        self._documents = documents
        self._pieces = Pieces(folder)
        self._words: Numbers = np.empty(0, np.uint64)
        self._rarity: NDArray[np.float64] = np.empty(0)
        self._mean_length = 1.0

    def prepare(self, deadline: Deadline, progress: Progress) -> None:
        """Count the words of every document.

        Raises:
            SynthesisError: the time is spent; what is counted is kept.

        """
        count, length = len(self._documents), 0.0
        words, held = np.empty(0, np.uint64), np.empty(0, np.int64)
        for start in range(0, count, BLOCK):
            if deadline.passed and not self._pieces.has(start // BLOCK, self._of):
                raise out_of_time(f"{start:,} of {count:,} documents had their words counted")
            block = self._block(start)
            length += float(block["lengths"].sum())
            words, held = _added(words, held, block["words"], np.diff(block["starts"]))
            progress(f"encode {self.name}", min(start + BLOCK, count), count)
        self._words, self._mean_length = words, max(1.0, length / max(1, count))
        self._rarity = np.log(1 + (count - held + 0.5) / (held + 0.5))

    def blocks(self, queries: Sequence[str]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield the number of each block's first document, and its scores, a row a query.

        A document that shares no word with a query has -inf.
        """
        asked = [list(_counted(query)) for query in queries]
        for start in range(0, len(self._documents), BLOCK):
            block = self._block(start)
            points = self._points(block)
            scores = np.zeros((len(asked), len(block["lengths"])), dtype=np.float32)
            for row, words in zip(scores, asked, strict=True):
                for word in words:
                    _add_word(row, block, points, word)
            yield start, np.where(scores > 0, scores, np.float32(-np.inf))

    def _points(self, block: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return what each word of each document is worth, in the order of the postings."""
        times = block["times"].astype(np.float64)
        lengths = block["lengths"][block["documents"]] / self._mean_length
        rarity = self._rarity[np.searchsorted(self._words, block["words"])]
        worth = times * (_K1 + 1) / (times + _K1 * (1 - _B + _B * lengths))
        points: NDArray[np.float32] = np.repeat(rarity, np.diff(block["starts"])) * worth
        return points.astype(np.float32)

    @property
    def _of(self) -> str:
        return f"{self.fingerprint} {self._documents.digest}"

    def _block(self, start: int) -> Mapping[str, NDArray[Any]]:
        numbers = range(start, min(start + BLOCK, len(self._documents)))
        return self._pieces.arrays(
            start // BLOCK, self._of, lambda: _postings(self._documents.texts.texts(numbers))
        )


def _postings(texts: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return the documents of each word, word by word, and how often it stands in each."""
    counts = [_counted(text) for text in texts]
    rows = [(word, at, n) for at, count in enumerate(counts) for word, n in count.items()]
    rows.sort()
    words, first = np.unique(np.array([row[0] for row in rows], np.uint64), return_index=True)
    return {
        "words": words,
        "starts": np.append(first, len(rows)).astype(np.int64),
        "documents": np.array([row[1] for row in rows], np.int64),
        "times": np.array([row[2] for row in rows], np.int64),
        "lengths": np.array([sum(count.values()) for count in counts], np.int64),
    }


def _counted(text: str) -> Counter[int]:
    return Counter(
        int.from_bytes(blake2b(word.encode(), digest_size=8).digest())
        for word in _WORD.findall(normalise(text))
    )


def _add_word(
    row: NDArray[np.float32],
    block: Mapping[str, NDArray[Any]],
    points: NDArray[np.float32],
    word: int,
) -> None:
    at = int(np.searchsorted(block["words"], np.uint64(word)))
    if at < len(block["words"]) and block["words"][at] == np.uint64(word):
        start, end = int(block["starts"][at]), int(block["starts"][at + 1])
        row[block["documents"][start:end]] += points[start:end]


def _added(
    words: Numbers, held: NDArray[np.int64], more: NDArray[Any], times: NDArray[Any]
) -> tuple[Numbers, NDArray[np.int64]]:
    """Add counts by word."""
    joined, at = np.unique(np.concatenate([words, more]), return_inverse=True)
    total = np.zeros(len(joined), np.int64)
    np.add.at(total, at, np.concatenate([held, times]))
    return joined, total
