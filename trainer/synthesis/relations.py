"""Which documents of a query the cross-encoder reads: the right one, and some that look so."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from desireline.trainer.query_text import normalise
from desireline.trainer.synthesis.best_of import NOTHING, BestOf
from desireline.trainer.synthesis.deadline import Deadline
from desireline.trainer.synthesis.pieces import Pieces
from desireline.trainer.synthesis.settings import Progress, SynthesisSettings
from desireline.trainer.synthesis.sources import NOBODY, Documents


class Search(Protocol):
    """Scores every document for a query, a block at a time."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def fingerprint(self) -> str:
        """Names all that decides its scores."""
        ...

    def prepare(self, deadline: Deadline, progress: Progress) -> None:
        """Do once what every query needs. Raises SynthesisError when the time is spent."""
        ...

    def blocks(self, queries: Sequence[str]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield the number of each block's first document, and its scores, a row a query."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """A query and the numbers of the documents that are read for it."""

    query: str
    #: The right one first, if one is known; else the nearest first.
    documents: tuple[int, ...]
    #: Whether the first is known to be right.
    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationMiner:
    """Unites what several searches find, and draws from it by the seed."""

    searches: Sequence[Search]
    documents: Documents
    #: Documents that are right for each query, by the query as it is normalised.
    right: Mapping[str, frozenset[int]]
    settings: SynthesisSettings
    #: Of what each search found.
    folder: Path

    def mine(self, number: int, queries: Sequence[tuple[str, int]]) -> list[Related]:
        """Return the relations of one block of queries.

        Args:
            number: of the block.
            queries: each with the number of its right document, or `NOBODY`.

        """
        texts = [query for query, _ in queries]
        found = [self._hits(at, number, texts) for at in range(len(self.searches))]
        return [
            self._related(query, document, [hits[row] for hits in found])
            for row, (query, document) in enumerate(queries)
        ]

    def _hits(self, at: int, number: int, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the best documents of one search, one more than are drawn from."""
        search = self.searches[at]
        k = min(self.settings.negatives_per_query + 1, len(self.documents))
        of = repr((search.fingerprint, self.documents.digest, k, texts))

        def make() -> dict[str, NDArray[np.int64]]:
            best = BestOf(len(texts), k)
            for first, scores in search.blocks(texts):
                best.add(first, scores)
            return {"documents": best.documents}

        pieces = Pieces(self.folder / str(at))
        return pieces.arrays(number, of, make)["documents"]

    def _related(self, query: str, document: int, hits: Sequence[NDArray[np.int64]]) -> Related:
        right = self.right.get(normalise(query), frozenset())
        pool = [
            number
            for number in _united([row.tolist() for row in hits], self.settings.negatives_per_query)
            if number not in right
        ]
        drawn = _random(self.settings.seed, query, document)
        known = document != NOBODY
        if not known and not pool:
            pool = self._anything(drawn, right, 1)
        first, others = (document, pool) if known else (pool[0], pool[1:])
        most = self.settings.num_relations - 1
        chosen = drawn.sample(others, most) if len(others) > most else others
        chosen += self._anything(drawn, {*right, first, *chosen}, most - len(chosen))
        return Related(query=query, documents=(first, *chosen), known=known)

    def _anything(
        self, drawn: random.Random, without: frozenset[int] | set[int], count: int
    ) -> list[int]:
        """Draw documents from the whole catalogue, for queries of which too few were found."""
        found: dict[int, None] = {}
        while len(found) < count and len(found) + len(without) < len(self.documents):
            number = drawn.randrange(len(self.documents))
            if number not in without:
                found[number] = None
        return list(found)


def _united(hits: Sequence[Sequence[int]], most: int) -> list[int]:
    """Join hits by their position: all first ones, then all second ones."""
    several = ([number for number in row if number != NOTHING][: most + 1] for row in hits)
    united = (number for column in zip_longest(*several) for number in column if number is not None)
    return list(dict.fromkeys(united))


def _random(seed: int, query: str, document: int) -> random.Random:
    """Return a source of draws that depends on the query alone, not on those before it."""
    salted = sha256(f"{seed}\n{document}\n{query}".encode()).digest()
    return random.Random(int.from_bytes(salted[:8]))  # noqa: S311 - no secret
