"""How much of what is relevant was found."""

from collections.abc import Sequence
from dataclasses import dataclass

from desireline.trainer.measures.base import Grades, relevant


@dataclass(frozen=True, slots=True)
class Recall:
    """Share of the relevant documents among the first answers."""

    cutoff: int

    @property
    def label(self) -> str:
        """The name as people write it."""
        return f"Recall@{self.cutoff}"

    def __str__(self) -> str:
        return f"recall@{self.cutoff}"

    def value(self, ranked: Sequence[str], grades: Grades) -> float:
        """Measure one ranked list."""
        wanted = relevant(grades)
        return len(wanted.intersection(ranked[: self.cutoff])) / len(wanted) if wanted else 0.0
