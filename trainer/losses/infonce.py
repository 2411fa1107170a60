"""Softmax over the documents of a batch, honouring weights and sparing what may be right."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, Field

from desireline.trainer.lessons import Lessons
from desireline.trainer.losses.base import Features
from desireline.trainer.losses.embedding import embed


class WeightedInfoNceConfig(BaseModel, frozen=True, extra="forbid"):
    """How sharp the softmax is."""

    kind: Literal["infonce"] = "infonce"
    #: Cosines are multiplied by this: 1 / temperature.
    scale: float = Field(default=20.0, gt=0)


class WeightedInfoNce(torch.nn.Module):
    """Cross entropy of each anchor's positive among all passages of the batch.

    InfoNCE (van den Oord et al. 2018) with in-batch and hard negatives. Two things differ:
    each row counts by its weight, and a passage whose document may be right for the anchor
    (co-clicked, judged not surely wrong, or the positive's own document) is left out of the
    row's softmax instead of being pushed away.
    """

    def __init__(
        self, model: torch.nn.Module, lessons: Lessons, settings: Mapping[str, object]
    ) -> None:
        super().__init__()
        self.model = model
        self._lessons = lessons
        self._scale = WeightedInfoNceConfig.model_validate(settings).scale

    def forward(self, features: list[Features], labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of one batch; see `Loss`."""
        anchors, passages = (embed(self.model, part) for part in features)
        rows = labels.tolist()
        numbers = self._lessons.passages_of(rows)
        target = np.searchsorted(numbers, self._lessons.positive[rows])
        return weighted_infonce(
            anchors.float(),
            passages.float(),
            target=torch.from_numpy(target).to(anchors.device),
            weight=torch.from_numpy(self._lessons.weight[rows]).to(anchors.device),
            forbidden=torch.from_numpy(self._lessons.forbidden(rows, numbers)).to(anchors.device),
            scale=self._scale,
        )


def weighted_infonce(
    anchors: torch.Tensor,
    passages: torch.Tensor,
    *,
    target: torch.Tensor,
    weight: torch.Tensor,
    forbidden: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """Return the weighted mean of the rows' cross entropies.

    Args:
        anchors: shape (rows, dimension), of any length.
        passages: shape (passages, dimension), of any length.
        target: the passage of each row, shape (rows,).
        weight: above 0, shape (rows,).
        forbidden: passages left out of a row's softmax, shape (rows, passages); never a target.
        scale: what cosines are multiplied by.

    """
    cosines = torch.nn.functional.normalize(anchors) @ torch.nn.functional.normalize(passages).T
    scores = (scale * cosines).masked_fill(forbidden, -torch.inf)
    each = torch.nn.functional.cross_entropy(scores, target, reduction="none")
    return (weight * each).sum() / weight.sum()
