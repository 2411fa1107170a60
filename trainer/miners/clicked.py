"""What users chose is a positive."""

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, Field

from desireline.trainer.miners.base import Material, believed
from desireline.trainer.pairs import Pair


class ClickedConfig(BaseModel, frozen=True, extra="forbid"):
    """Whom to believe."""

    kind: Literal["clicked"] = "clicked"
    #: Judgments below this grade are no positives; 0.5 is more likely right than wrong.
    min_grade: float = Field(default=0.5, ge=0, le=1)


class Clicked:
    """Every judgment that is more likely right than wrong is a pair, weighted by its grade.

    The negatives are left to the batch: other pairs' documents.
    """

    judged = True
    config_class = ClickedConfig

    def __init__(self, config: ClickedConfig | None = None) -> None:
        self._config = config or ClickedConfig()

    def mine(self, material: Material) -> Iterator[Pair]:
        """Yield one pair a judgment whose document is still there."""
        for query, document_id, weight in believed(material.judgments, self._config.min_grade):
            if positive := material.passage(document_id):
                yield Pair(
                    anchor=query,
                    positive=positive,
                    weight=weight,
                    source="clicked",
                    why=f"judged right with weight {weight:.2f}",
                )
