"""Queries for documents that have none: by whoever writes them, or by words of their titles."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np

from desireline.trainer.errors import SynthesisError
from desireline.trainer.miners.pseudo_queries import PseudoQueries, PseudoQueriesConfig
from desireline.trainer.synthesis.deadline import Deadline
from desireline.trainer.synthesis.pieces import Pieces
from desireline.trainer.synthesis.settings import (
    AbsentWriter,
    Progress,
    QueryWriter,
    SynthesisSettings,
)
from desireline.trainer.synthesis.sources import Documents, storable

TITLES = "titles"
"""The author where nobody writes."""

#: Documents in a piece: what a kill costs at most.
_AT_ONCE = 32

Write = Callable[[Sequence[int], int], Sequence[Sequence[str]]]
"""Writes up to that many queries for the documents of these numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who writes, by a name that decides what is written; None writes no more than there is."""

    fingerprint: str
    write: Write | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Queries with the number of the document that each was written for, in the order drawn."""

    queries: tuple[tuple[str, int], ...]
    #: Whether every document that was drawn had its turn.
    whole: bool


def author_of(
    writer: QueryWriter | None, documents: Documents, settings: SynthesisSettings
) -> Author:
    """Return a writer as an author, or the titles where there is none.

    Raises:
        SynthesisError: neither is there a writer, nor a title.

    """
    if isinstance(writer, AbsentWriter):
        return Author(fingerprint=writer.fingerprint, write=None)
    if writer is not None:
        by = writer
        return Author(
            fingerprint=writer.fingerprint,
            write=lambda numbers, most: by(documents.texts.texts(numbers), most),
        )
    if not documents.titled:
        raise SynthesisError(
            "there are no queries, nobody to write them, and no titles to take them from;"
            " nothing was made",
            next_step="give queries, a query writer, or a title beside the text of each document",
        )
    cut = PseudoQueries(
        PseudoQueriesConfig(a_document=settings.queries_per_document, seed=settings.seed)
    )

    def write(numbers: Sequence[int], _: int) -> list[list[str]]:
        titles = documents.titles.texts(numbers)
        return [cut.cuts(str(n), title) for n, title in zip(numbers, titles, strict=True)]

    return Author(fingerprint=TITLES, write=write)


def written(
    documents: Documents,
    author: Author,
    settings: SynthesisSettings,
    folder: Path,
    *,
    deadline: Deadline,
    progress: Progress,
) -> Written:
    """Have queries written for documents drawn evenly, as many as are asked for or time allows.

    The same query twice for one document is one.
    """
    drawn = _drawn(len(documents), settings)
    found: dict[tuple[str, int], None] = {}
    done, pieces = 0, Pieces(folder)
    for number, some in enumerate(_batches(drawn)):
        of = repr((documents.digest, author.fingerprint, settings.queries_per_document, some))
        if not pieces.has(number, of) and (author.write is None or deadline.passed):
            break
        piece = pieces.values(number, of, partial(_made, author, some, settings))
        for document, queries in zip(some, piece, strict=True):
            for query in queries[: settings.queries_per_document]:
                found[query, document] = None
        done += len(some)
        progress("queries", done, len(drawn))
    return Written(queries=tuple(found), whole=done == len(drawn))


def _made(author: Author, some: Sequence[int], settings: SynthesisSettings) -> list[list[str]]:
    assert author.write is not None, "who may not write is not asked"
    texts = author.write(some, settings.queries_per_document)
    return [[clean for text in of_one if (clean := _clean(text))] for of_one in texts]


def _clean(text: str) -> str:
    return " ".join(storable(text).split())


def _drawn(documents: int, settings: SynthesisSettings) -> list[int]:
    """Return the numbers of the documents that have their turn, in a drawn order."""
    most = settings.most_queries
    if settings.max_pairs is not None:
        most = min(most, -(-settings.max_pairs // (settings.num_relations - 1)))
    order = drawn_order(documents, settings.seed)
    return order[: -(-most // settings.queries_per_document)]


def drawn_order(count: int, seed: int) -> list[int]:
    """Return the numbers below `count` in an order that is the same for the same seed."""
    salted = sha256(f"synthesis\n{seed}".encode()).digest()
    order: list[int] = np.random.default_rng(int.from_bytes(salted[:8])).permutation(count).tolist()
    return order


def _batches(numbers: list[int]) -> Iterator[list[int]]:
    return (numbers[at : at + _AT_ONCE] for at in range(0, len(numbers), _AT_ONCE))
