"""A title, cut up as people cut words when they search, finds its document."""

from collections.abc import Iterator
from hashlib import sha256
from random import Random
from typing import Literal

from pydantic import BaseModel, Field

from desireline.trainer.miners.base import Material
from desireline.trainer.pairs import Pair
from desireline.trainer.query_text import normalise

_FEWEST_WORDS = 2


class PseudoQueriesConfig(BaseModel, frozen=True, extra="forbid"):
    """How titles are cut up."""

    kind: Literal["pseudo_queries"] = "pseudo_queries"
    weight: float = Field(default=0.1, gt=0)
    #: Made of each title; fewer where cuts come out alike.
    a_document: int = Field(default=2, ge=1)
    #: Chance that a word is left out.
    drop: float = Field(default=0.3, ge=0, lt=1)
    #: Chance that the words left change places.
    reorder: float = Field(default=0.3, ge=0, le=1)
    seed: int = 0


class PseudoQueries:
    """Words of the title are dropped, cut to a run, or reordered; the result is the anchor.

    After the pre-training of a query encoder without queries by Qiu et al. (CIKM 2022): users
    type a few words of what a thing is called, in any order. The same title and seed give the
    same cuts, whatever other documents there are.
    """

    judged = False
    config_class = PseudoQueriesConfig

    def __init__(self, config: PseudoQueriesConfig | None = None) -> None:
        self._config = config or PseudoQueriesConfig()

    def mine(self, material: Material) -> Iterator[Pair]:
        """Yield a few pairs a document whose title has two words or more."""
        for document_id in sorted(material.documents):
            positive = material.passage(document_id)
            if positive:
                for cut in self.cuts(document_id, material.documents[document_id].title):
                    yield Pair(
                        anchor=cut,
                        positive=positive,
                        weight=self._config.weight,
                        source="pseudo_queries",
                        why="words of the document's own title",
                    )

    def cuts(self, document_id: str, title: str) -> list[str]:
        """Return the distinct cuts of a title; none of one with fewer than two words."""
        words = normalise(title).split()
        if len(words) < _FEWEST_WORDS:
            return []
        salted = f"{self._config.seed}\n{document_id}".encode("utf-8", "surrogatepass")
        random = Random(int.from_bytes(sha256(salted).digest()[:8]))  # noqa: S311 - a draw
        cuts = (self._cut(words, random) for _ in range(self._config.a_document))
        return list(dict.fromkeys(cuts))

    def _cut(self, words: list[str], random: Random) -> str:
        """Drop words or take a run of them, then perhaps reorder; one word is left at least."""
        if random.random() < 0.5:  # noqa: PLR2004 - either way as often
            left = [word for word in words if random.random() >= self._config.drop]
        else:
            length = random.randint(1, len(words))
            start = random.randint(0, len(words) - length)
            left = words[start : start + length]
        left = left or [random.choice(words)]
        if random.random() < self._config.reorder:
            random.shuffle(left)
        return " ".join(left)
