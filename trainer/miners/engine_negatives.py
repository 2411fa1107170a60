"""What the search answers with, and nobody wants, is a hard negative."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, Field

from desireline.connectors.search_engine import Hit
from desireline.trainer.miners.base import Material, Search, believed
from desireline.trainer.pairs import Pair, Passage


class EngineNegativesConfig(BaseModel, frozen=True, extra="forbid"):
    """Where among the answers to look."""

    kind: Literal["engine_negatives"] = "engine_negatives"
    min_grade: float = Field(default=0.5, ge=0, le=1)
    #: The best answers are too likely right although nobody clicked them yet.
    skip_top: int = Field(default=5, ge=0)
    depth: int = Field(default=30, ge=1)
    max_negatives: int = Field(default=4, ge=1)


class EngineNegatives:
    """Answers below the best ones, unrelated to the query, are near yet wrong.

    Assumption (Xiong et al. 2021): what the present search ranks high and is wrong teaches
    most. The first answers are left out, for many of them are right and merely not clicked.
    """

    def __init__(self, config: EngineNegativesConfig | None = None) -> None:
        self._config = config or EngineNegativesConfig()

    def mine(self, material: Material) -> Iterator[Pair]:
        """Yield one pair a believed judgment; nothing without a search."""
        if material.search is None:
            return
        search = _remembering(material.search)
        for query, document_id, weight in believed(material.judgments, self._config.min_grade):
            if positive := material.passage(document_id):
                hits = search(query, self._config.depth)
                yield Pair(
                    anchor=query,
                    positive=positive,
                    negatives=self._negatives(material, query, document_id, hits),
                    weight=weight,
                    source="engine_negatives",
                )

    def _negatives(
        self, material: Material, query: str, document_id: str, hits: Sequence[Hit]
    ) -> tuple[Passage, ...]:
        spared = material.related.get(query, frozenset()) | {document_id}
        below = (hit.document_id for hit in hits[self._config.skip_top :])
        passages = (material.passage(each) for each in below if each not in spared)
        return tuple(passage for passage in passages if passage)[: self._config.max_negatives]


def _remembering(search: Search) -> Search:
    """Ask once a query; the judgments of one query come one after the other."""
    return lru_cache(maxsize=64)(search)
