"""Learns a teacher's margins between a right and a wrong passage."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import BaseModel, Field

from desireline.trainer.errors import LossError
from desireline.trainer.lessons import Lessons
from desireline.trainer.losses.rows import Rows
from desireline.trainer.losses.vectors import VectorLoss


class MarginMseConfig(BaseModel, frozen=True, extra="forbid"):
    """What is compared with the teacher's margin."""

    kind: Literal["margin_mse"] = "margin_mse"
    similarity: Literal["dot", "cosine"] = "dot"
    #: Similarities are multiplied by this; a cosine reaches few teachers' margins without it.
    scale: float = Field(default=1.0, gt=0)


class MarginMse(VectorLoss):
    """Squared error of the encoder's margins beside the teacher's (Hofstätter et al. 2020).

    Only a row's own negatives teach; each brings the teacher's score of the positive less that
    of the negative.
    """

    def __init__(
        self, model: torch.nn.Module, lessons: Lessons, settings: Mapping[str, object]
    ) -> None:
        super().__init__(model, lessons)
        self._config = MarginMseConfig.model_validate(settings)
        taught = [
            len(margins) == len(negatives) > 0
            for margins, negatives in zip(lessons.margins, lessons.negatives, strict=True)
        ]
        if not all(taught):
            raise LossError(
                f"margin_mse needs a negative and a teacher's margin in every row; "
                f"{taught.count(False):,} of {len(taught):,} rows have none; nothing was trained",
                next_step="give rows of query, positive, negative and margin",
            )

    def of_vectors(self, anchors: torch.Tensor, passages: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Return the loss of a batch; see `VectorLoss`."""
        if self._config.similarity == "cosine":
            anchors = torch.nn.functional.normalize(anchors)
            passages = torch.nn.functional.normalize(passages)
        row, column, margin = rows.own
        difference = passages[rows.target[row]] - passages[column]
        told = self._config.scale * (anchors[row] * difference).sum(dim=1)
        weight = rows.weight[row]
        total = weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)
        loss: torch.Tensor = (weight * (told - margin) ** 2).sum() / total
        return loss
