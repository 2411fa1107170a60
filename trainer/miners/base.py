"""Port: find pairs in what users did and in what there is to find."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from desireline.connectors.search_engine import Hit
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.judgments import Judgments
from desireline.trainer.measures.base import Qrels
from desireline.trainer.miners.likeness import Likeness
from desireline.trainer.miners.voting import Found, Mined, weigh
from desireline.trainer.pairs import Pair, PairSet, Passage
from desireline.trainer.sessions import Sessions

Search = Callable[[str, int], Sequence[Hit]]
"""Answers a query with that many hits, best first, as the users' search does."""

Rerank = Callable[[Sequence[tuple[str, str]]], NDArray[np.float64]]
"""P(right) of each (query, document text), by a cross-encoder."""

Generate = Callable[[Sequence[str], int], Sequence[Sequence[str]]]
"""Writes up to that many queries for each document text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """All that miners may look at; `sessions` and `judgments` are of the training part only."""

    sessions: Sessions
    judgments: Judgments
    documents: Mapping[str, DocumentText]
    #: The live vectors; None where no engine is at hand: miners that need it find nothing.
    search: Search | None = None
    #: The engine's words (BM25); None where there is no engine.
    lexical: Search | None = None
    #: The incumbent's opinion; None where there is none yet.
    likeness: Likeness | None = None
    #: None unless a cross-encoder is configured.
    rerank: Rerank | None = None
    #: None unless a generator is configured.
    generate: Generate | None = None
    #: Grades between 0 and 1 that people gave, by query and document_id; see `tune.judgments`.
    ratings: Qrels = field(default_factory=lambda: MappingProxyType({}))
    #: Documents by query that are never a negative; see `related`.
    related: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))

    def passage(self, document_id: str) -> Passage | None:
        """Return the document as the encoder reads it; None if it is gone or empty."""
        document = self.documents.get(document_id)
        return Passage(document_id, document.text) if document and document.parts else None


class Miner(Protocol):
    """Finds pairs in its own way.

    A miner whose positives are the judgments' own says so with a class attribute
    `judged = True`: its finds tell the label model nothing that the grades do not. One that can
    be configured names its pydantic model as `config_class` and takes one as its only argument.
    """

    def mine(self, material: Material) -> Iterator[Pair]:
        """Yield pairs; `mine_all` drops repeats and negatives that are related to the anchor."""
        ...


def related(judgments: Judgments, *, doubt: float = 0.1) -> dict[str, frozenset[str]]:
    """List the documents of each query that may be right: clicked, or graded `doubt` or more."""
    kept = judgments.frame.filter((pl.col("clicks") > 0) | (pl.col("grade") >= doubt))
    return {
        query: frozenset(document_ids)
        for query, document_ids in kept.group_by("query")
        .agg("document_id")
        .sort("query")
        .iter_rows()
    }


def mine_all(material: Material, miners: Iterable[Miner]) -> PairSet:
    """Let every miner look, and join what they find."""
    return mine(material, miners).pairs


def mine(material: Material, miners: Iterable[Miner]) -> Mined:
    """Let every miner look, believe each as it deserves, and join what they find."""
    ready = with_related(material)
    found = (finding for miner in miners for finding in find(ready, miner))
    return weigh(found, material.judgments, ready.related)


def with_related(material: Material) -> Material:
    """Return the material with what is never a negative."""
    return replace(material, related=related(material.judgments))


def find(material: Material, miner: Miner) -> Iterator[Found]:
    """Yield what one miner finds, by itself."""
    judged = bool(getattr(miner, "judged", False))
    for pair in miner.mine(material):
        yield Found(pair=pair, judged=judged)


def believed(judgments: Judgments, min_grade: float) -> Iterator[tuple[str, str, float]]:
    """Yield query, document_id and weight of what is judged right.

    The weight is the grade times the mean weight of the actions, so that a purchase counts for
    more than a click; a pair that only its neighbours vouch for has the grade alone.
    """
    worth = pl.max_horizontal(pl.col("weight"), pl.lit(1.0))
    kept = judgments.frame.filter(pl.col("grade") >= min_grade)
    yield from kept.select("query", "document_id", weight=pl.col("grade") * worth).iter_rows()
