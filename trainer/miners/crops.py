"""A piece of a text belongs to the text it was cut from."""

import re
from collections.abc import Iterator
from hashlib import sha256
from random import Random
from typing import Literal

from pydantic import BaseModel, Field

from desireline.trainer.documents.text import DocumentText
from desireline.trainer.miners.base import Material
from desireline.trainer.pairs import Pair, Passage
from desireline.trainer.query_text import normalise

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+")


class CropsConfig(BaseModel, frozen=True, extra="forbid"):
    """How texts are cropped."""

    kind: Literal["crops"] = "crops"
    weight: float = Field(default=0.1, gt=0)
    #: Words of a crop.
    fewest_words: int = Field(default=3, ge=1)
    most_words: int = Field(default=10, ge=1)
    #: How often the positive keeps the crop, so that shared words still count for something.
    keep: float = Field(default=0.1, ge=0, le=1)
    seed: int = 0


class Crops:
    """Inverse cloze (Lee et al. 2019): a run of words is the anchor, the text around it is right.

    The encoder has to learn what belongs to one text beyond the words that both share.
    """

    judged = False
    config_class = CropsConfig

    def __init__(self, config: CropsConfig | None = None) -> None:
        self._config = config or CropsConfig()

    def mine(self, material: Material) -> Iterator[Pair]:
        """Yield one pair a document that is long enough to leave something around the crop."""
        for document_id in sorted(material.documents):
            cropped = self._crop(document_id, material.documents[document_id])
            if cropped:
                anchor, rest = cropped
                yield Pair(
                    anchor=anchor,
                    positive=Passage(document_id, rest),
                    weight=self._config.weight,
                    source="crops",
                    why="a piece of the document's own text",
                )

    def _crop(self, document_id: str, document: DocumentText) -> tuple[str, str] | None:
        """Cut a run of words out of one sentence of all but the title."""
        salted = f"{self._config.seed}\n{document_id}".encode("utf-8", "surrogatepass")
        random = Random(int.from_bytes(sha256(salted).digest()[:8]))  # noqa: S311 - a draw
        sentences = [s.split() for s in _SENTENCE_END.split(document.rest)]
        long = [words for words in sentences if len(words) > self._config.fewest_words]
        if not long:
            return None
        words = random.choice(long)
        length = random.randint(self._config.fewest_words, min(self._config.most_words, len(words)))
        start = random.randint(0, len(words) - length)
        crop = " ".join(words[start : start + length])
        text = document.text
        rest = text if random.random() < self._config.keep else text.replace(crop, " ", 1)
        return normalise(crop), " ".join(rest.split())
