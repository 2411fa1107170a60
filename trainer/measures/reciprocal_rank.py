"""How far down the first relevant answer is."""

from collections.abc import Sequence
from dataclasses import dataclass

from desireline.trainer.measures.base import Grades, relevant


@dataclass(frozen=True, slots=True)
class ReciprocalRank:
    """1 over the position of the first relevant answer; 0 if none is within the cutoff."""

    cutoff: int

    @property
    def label(self) -> str:
        """The name as people write it."""
        return f"mRR@{self.cutoff}"

    def __str__(self) -> str:
        return f"mrr@{self.cutoff}"

    def value(self, ranked: Sequence[str], grades: Grades) -> float:
        """Measure one ranked list."""
        wanted = relevant(grades)
        for position, document_id in enumerate(ranked[: self.cutoff], 1):
            if document_id in wanted:
                return 1 / position
        return 0.0
