"""How pure the list is down to each relevant answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from desireline.trainer.measures.base import Grades, relevant


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """Mean, over the relevant documents, of the precision at the position of each.

    One that is not among the first answers counts 0, as in trec_eval. With one relevant document
    it is the reciprocal rank.
    """

    cutoff: int

    @property
    def label(self) -> str:
        """The name as people write it."""
        return f"mAP@{self.cutoff}"

    def __str__(self) -> str:
        return f"map@{self.cutoff}"

    def value(self, ranked: Sequence[str], grades: Grades) -> float:
        """Measure one ranked list; a document that comes twice counts once."""
        wanted = relevant(grades)
        found, total = 0, 0.0
        for position, document_id in enumerate(list(dict.fromkeys(ranked))[: self.cutoff], 1):
            if document_id in wanted:
                found += 1
                total += found / position
        return total / len(wanted) if wanted else 0.0
