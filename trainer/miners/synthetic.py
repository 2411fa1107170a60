"""Queries that a language model writes for a document, kept where they find it again."""

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, Field

from desireline.trainer.miners.base import Material
from desireline.trainer.miners.likeness import Likeness
from desireline.trainer.pairs import Pair
from desireline.trainer.query_text import normalise


class SyntheticConfig(BaseModel, frozen=True, extra="forbid"):
    """How many queries to have written, and which to keep."""

    kind: Literal["synthetic"] = "synthetic"
    weight: float = Field(default=0.3, gt=0)
    #: Asked for of each document.
    a_document: int = Field(default=2, ge=1)
    #: Documents at most, those that were never clicked first: the others have users' queries.
    documents: int = Field(default=2_000, ge=1)
    #: Round trip: the document must be among this many that the incumbent finds for the query.
    found_within: int = Field(default=10, ge=1)
    most_words: int = Field(default=20, ge=1)


class Synthetic:
    """What a configured generator says people would type is the anchor of its document.

    Only round trips count (Alberti et al. 2019): a query that does not lead back to its
    document among the first ones is too vague, or of something else. Nothing without a
    generator.
    """

    judged = False
    config_class = SyntheticConfig

    def __init__(self, config: SyntheticConfig | None = None) -> None:
        self._config = config or SyntheticConfig()

    def mine(self, material: Material) -> Iterator[Pair]:
        """Yield one pair a query that was written and led back."""
        if material.generate is None or material.likeness is None:
            return
        names = self._least_known(material)
        texts = [material.documents[name].text for name in names]
        written = material.generate(texts, self._config.a_document) if texts else ()
        for document_id, queries in zip(names, written, strict=True):
            yield from self._round_trips(material, material.likeness, document_id, queries)

    def _least_known(self, material: Material) -> list[str]:
        clicked = set(material.sessions.frame.filter("clicked").get_column("document_id"))
        names = [name for name in material.documents if material.passage(name)]
        return sorted(names, key=lambda name: (name in clicked, name))[: self._config.documents]

    def _round_trips(
        self, material: Material, likeness: Likeness, document_id: str, queries: Sequence[str]
    ) -> Iterator[Pair]:
        positive = material.passage(document_id)
        assert positive is not None, "documents without text were left out"
        for query in dict.fromkeys(normalise(query) for query in queries):
            if not 0 < len(query.split()) <= self._config.most_words:
                continue
            place = likeness.place(query, document_id)
            if place <= self._config.found_within:
                yield Pair(
                    anchor=query,
                    positive=positive,
                    weight=self._config.weight,
                    source="synthetic",
                    why=f"written by the generator; the incumbent finds it at place {place}",
                )
