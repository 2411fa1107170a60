"""What the search answers with, and nobody wants, is a hard negative."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby, zip_longest
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from desireline.trainer.miners.base import Material, Search, believed
from desireline.trainer.pairs import Pair

Believed = tuple[str, str, float]
"""Query, document_id and weight."""


class EngineNegativesConfig(BaseModel, frozen=True, extra="forbid"):
    """Where among the answers to look, and what to spare."""

    kind: Literal["engine_negatives"] = "engine_negatives"
    min_grade: float = Field(default=0.5, ge=0, le=1)
    #: The best answers are too likely right although nobody clicked them yet.
    skip_top: int = Field(default=5, ge=0)
    depth: int = Field(default=30, ge=1)
    max_negatives: int = Field(default=4, ge=1)
    #: Cosine to a right document, by the incumbent, at which an answer is taken for its double.
    double: float = Field(default=0.95, gt=0, le=1)
    #: How much nearer to the query than the right document an answer may be for the incumbent:
    #: what is nearer by more is likely right as well.
    margin: float = Field(default=0.3, ge=-1)
    #: P(right) by the cross-encoder from which an answer is spared.
    max_right: float = Field(default=0.3, gt=0, le=1)


class EngineNegatives:
    """Answers below the best ones, unrelated to the query, are near yet wrong.

    Assumption (Xiong et al. 2021): what the present search ranks high and is wrong teaches
    most. The answers are those of words (BM25) and of the live vectors in turn. Spared are the
    first answers, for many of them are right and merely not clicked; what was clicked or may be
    right for the query; doubles of a right document; what the incumbent holds for much better
    than the right document (after Moreira et al. 2024); and what a cross-encoder, where one is
    configured, holds for right (Qu et al. 2021).
    """

    judged = True
    config_class = EngineNegativesConfig

    def __init__(self, config: EngineNegativesConfig | None = None) -> None:
        self._config = config or EngineNegativesConfig()

    def mine(self, material: Material) -> Iterator[Pair]:
        """Yield one pair a believed judgment; nothing without a search."""
        searches = [_remembering(s) for s in (material.lexical, material.search) if s]
        if not searches:
            return
        rows = list(believed(material.judgments, self._config.min_grade))
        if material.likeness:
            material.likeness.read_queries([query for query, _, _ in rows])
        near = [
            (row, self._near(material, row, answers))
            for query, of_query in groupby(rows, key=lambda row: row[0])
            for answers in [self._answers(query, searches)]
            for row in of_query
            if material.passage(row[1])
        ]
        for (query, right, weight), wrong in self._wrong(material, near):
            positive = material.passage(right)
            assert positive is not None, "documents that are gone were left out"
            passages = (material.passage(each) for each in wrong[: self._config.max_negatives])
            negatives = tuple(passage for passage in passages if passage)
            yield Pair(
                anchor=query,
                positive=positive,
                negatives=negatives,
                weight=weight,
                source="engine_negatives",
                why=f"{len(negatives)} answers below the best {self._config.skip_top}"
                " that nobody wanted",
            )

    def _answers(self, query: str, searches: Sequence[Search]) -> list[str]:
        """Take the answers of every search in turn, without the first ones of any."""
        kept = self._config
        ranked = [[hit.document_id for hit in search(query, kept.depth)] for search in searches]
        best = {document_id for answers in ranked for document_id in answers[: kept.skip_top]}
        in_turn = (each for place in zip_longest(*ranked) for each in place if each)
        return [each for each in dict.fromkeys(in_turn) if each not in best]

    def _near(self, material: Material, row: Believed, answers: Sequence[str]) -> list[str]:
        """List the answers that may be negatives, as far as the incumbent can tell."""
        query, right, _ = row
        spared = material.related.get(query, frozenset()) | {right}
        near = [each for each in answers if each not in spared and material.passage(each)]
        return self._told_apart(material, query, right, near)

    def _told_apart(self, material: Material, query: str, right: str, near: list[str]) -> list[str]:
        """Leave out doubles of the right document and what the incumbent puts far above it."""
        if not near:
            return near
        own = material.documents[right].text
        near = [each for each in near if material.documents[each].text != own]
        if material.likeness is None or not near:
            return near
        to_right = material.likeness.to_document(right, near)
        to_query = material.likeness.to_query(query, [right, *near])
        kept = (to_right < self._config.double) & (
            to_query[1:] - to_query[0] <= self._config.margin
        )
        return [each for each, fair in zip(near, kept, strict=True) if fair]

    def _wrong(
        self, material: Material, near: Sequence[tuple[Believed, list[str]]]
    ) -> Iterator[tuple[Believed, list[str]]]:
        """Ask the cross-encoder, all at once, about a few more than are wanted."""
        if material.rerank is None:
            yield from near
            return
        asked = [(row, some[: 2 * self._config.max_negatives]) for row, some in near]
        texts = [(row[0], material.documents[each].text) for row, some in asked for each in some]
        right = iter(np.asarray(material.rerank(texts)).tolist() if texts else ())
        for row, some in asked:
            yield row, [each for each in some if next(right) < self._config.max_right]


def _remembering(search: Search) -> Search:
    """Ask once a query; the judgments of one query come one after the other."""
    return lru_cache(maxsize=64)(search)
