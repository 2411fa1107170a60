"""How close the order is to the best order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from math import log2

from desireline.trainer.measures.base import Grades


@dataclass(frozen=True, slots=True)
class Ndcg:
    """Discounted gain over that of the best order (Jarvelin and Kekalainen 2002).

    The gain is the grade itself, as in trec_eval, so that grades that are probabilities
    (clicks corrected for position) need no rounding.
    """

    cutoff: int

    @property
    def label(self) -> str:
        """The name as people write it."""
        return f"nDCG@{self.cutoff}"

    def __str__(self) -> str:
        return f"ndcg@{self.cutoff}"

    def value(self, ranked: Sequence[str], grades: Grades) -> float:
        """Measure one ranked list; a document that comes twice counts once."""
        gains = (max(grades.get(document_id, 0.0), 0.0) for document_id in dict.fromkeys(ranked))
        best = self._discounted(sorted((max(g, 0.0) for g in grades.values()), reverse=True))
        return self._discounted(gains) / best if best else 0.0

    def _discounted(self, gains: Iterable[float]) -> float:
        return sum(
            gain / log2(position + 1) for position, gain in enumerate(islice(gains, self.cutoff), 1)
        )
