"""What many documents say of themselves is a label that they share."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, Field

from desireline.trainer.miners.base import Material
from desireline.trainer.pairs import Pair
from desireline.trainer.query_text import normalise


class CategoriesConfig(BaseModel, frozen=True, extra="forbid"):
    """What counts as a category."""

    kind: Literal["categories"] = "categories"
    weight: float = Field(default=0.05, gt=0)
    #: Documents that share the value of a field.
    fewest_documents: int = Field(default=3, ge=2)
    #: A value that more than this share of all documents have tells nothing apart.
    most_share: float = Field(default=0.5, gt=0, le=1)
    #: A longer value is a text.
    most_words: int = Field(default=5, ge=1)


class Categories:
    """The value of a field that several documents share is the anchor of each of them.

    Documents of one category are never negatives of it, as each is a positive. A title is no
    category, even if documents share it.
    """

    judged = False
    config_class = CategoriesConfig

    def __init__(self, config: CategoriesConfig | None = None) -> None:
        self._config = config or CategoriesConfig()

    def mine(self, material: Material) -> Iterator[Pair]:
        """Yield one pair a document and category."""
        for category, document_ids in sorted(self._members(material).items()):
            for document_id in document_ids:
                if positive := material.passage(document_id):
                    yield Pair(
                        anchor=category,
                        positive=positive,
                        weight=self._config.weight,
                        source="categories",
                        why=f"one of {len(document_ids)} documents of the same category",
                    )

    def _members(self, material: Material) -> dict[str, list[str]]:
        members: dict[str, list[str]] = defaultdict(list)
        for document_id in sorted(material.documents):
            for part in material.documents[document_id].parts[1:]:
                value = normalise(part)
                if value and len(value.split()) <= self._config.most_words:
                    members[value].append(document_id)
        most = self._config.most_share * len(material.documents)
        return {
            value: found
            for value, found in members.items()
            if self._config.fewest_documents <= len(found) <= most
        }
