"""Whether anything relevant was found."""

from collections.abc import Sequence
from dataclasses import dataclass

from desireline.trainer.measures.base import Grades, relevant


@dataclass(frozen=True, slots=True)
class Hit:
    """1 if a relevant document is among the first answers."""

    cutoff: int

    @property
    def label(self) -> str:
        """The name as people write it."""
        return f"hit@{self.cutoff}"

    def __str__(self) -> str:
        return f"hit@{self.cutoff}"

    def value(self, ranked: Sequence[str], grades: Grades) -> float:
        """Measure one ranked list."""
        return float(not relevant(grades).isdisjoint(ranked[: self.cutoff]))
