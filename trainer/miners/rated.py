"""What people rated as good is a positive."""

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, Field

from desireline.trainer.miners.base import Material
from desireline.trainer.pairs import Pair


class RatedConfig(BaseModel, frozen=True, extra="forbid"):
    """Which ratings are good."""

    kind: Literal["rated"] = "rated"
    #: Ratings below this share of their list's greatest are no positives.
    min_grade: float = Field(default=0.5, gt=0, le=1)


class Rated:
    """Every rating that is high enough is a pair, weighted by its grade.

    The ratings are those of `tune.judgments`. They are a source of their own beside the clicks:
    where both speak of a document, the label model learns how far to believe them.
    """

    judged = False
    config_class = RatedConfig

    def __init__(self, config: RatedConfig | None = None) -> None:
        self._config = config or RatedConfig()

    def mine(self, material: Material) -> Iterator[Pair]:
        """Yield one pair a good rating whose document is still there."""
        for query in sorted(material.ratings):
            for document_id, grade in sorted(material.ratings[query].items()):
                positive = material.passage(document_id)
                if positive and grade >= self._config.min_grade:
                    yield Pair(
                        anchor=query,
                        positive=positive,
                        weight=grade,
                        source="rated",
                        why=f"rated {grade:.2f} of the best by people",
                    )
