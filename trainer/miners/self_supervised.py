"""A document's own fields belong together; no log is needed."""

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, Field

from desireline.trainer.miners.base import Material
from desireline.trainer.pairs import Pair, Passage
from desireline.trainer.query_text import normalise


class SelfSupervisedConfig(BaseModel, frozen=True, extra="forbid"):
    """How much the words of documents count beside those of users."""

    kind: Literal["self_supervised"] = "self_supervised"
    weight: float = Field(default=0.2, gt=0)


class SelfSupervised:
    """The first field (a title) is the anchor, the rest of the text its positive.

    Teaches the words of the collection to an encoder that does not know them. It also keeps
    what clicks never touch from drifting, which is why its weight is low but not zero.
    """

    judged = False
    config_class = SelfSupervisedConfig

    def __init__(self, config: SelfSupervisedConfig | None = None) -> None:
        self._config = config or SelfSupervisedConfig()

    def mine(self, material: Material) -> Iterator[Pair]:
        """Yield one pair a document that has more than one field with text."""
        for document_id in sorted(material.documents):
            document = material.documents[document_id]
            if document.rest:
                yield Pair(
                    anchor=normalise(document.title),
                    positive=Passage(document_id, document.rest),
                    weight=self._config.weight,
                    source="self_supervised",
                    why="the title of the document's own text",
                )
