"""Softmax over the documents of a batch, honouring weights and sparing what may be right."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import BaseModel, Field

from desireline.trainer.lessons import Lessons
from desireline.trainer.losses.rows import Rows
from desireline.trainer.losses.vectors import VectorLoss


class WeightedInfoNceConfig(BaseModel, frozen=True, extra="forbid"):
    """How sharp the softmax is."""

    kind: Literal["infonce"] = "infonce"
    #: Cosines are multiplied by this: 1 / temperature.
    scale: float = Field(default=20.0, gt=0)


class WeightedInfoNce(VectorLoss):
    """Cross entropy of each anchor's positive among all passages of the batch.

    InfoNCE (van den Oord et al. 2018) with in-batch and hard negatives. Three things differ:
    each row counts by its weight; a passage whose document may be right for the anchor
    (co-clicked, judged not surely wrong, or the positive's own document) is left out of the
    row's softmax instead of being pushed away; and a row whose positive is graded below 1 is
    right when its softmax gives the positive that probability.
    """

    def __init__(
        self, model: torch.nn.Module, lessons: Lessons, settings: Mapping[str, object]
    ) -> None:
        super().__init__(model, lessons)
        self._scale = WeightedInfoNceConfig.model_validate(settings).scale

    def of_vectors(self, anchors: torch.Tensor, passages: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Return the loss of a batch; see `VectorLoss`."""
        return weighted_infonce(
            anchors,
            passages,
            target=rows.target,
            weight=rows.weight,
            forbidden=rows.forbidden,
            scale=self._scale,
            score=rows.score,
        )


def weighted_infonce(
    anchors: torch.Tensor,
    passages: torch.Tensor,
    *,
    target: torch.Tensor,
    weight: torch.Tensor,
    forbidden: torch.Tensor,
    scale: float,
    score: torch.Tensor | None = None,
    unit_passages: bool = False,
) -> torch.Tensor:
    """Return the weighted mean of the rows' cross entropies.

    Args:
        anchors: shape (rows, dimension), of any length.
        passages: shape (passages, dimension), of any length.
        target: the passage of each row, shape (rows,).
        weight: shape (rows,).
        forbidden: passages left out of a row's softmax, shape (rows, passages); never a target.
        scale: what cosines are multiplied by.
        score: what the probability of the target should be, shape (rows,); 1 if left out.
        unit_passages: whether the passages have the length 1 already.

    """
    known = passages if unit_passages else torch.nn.functional.normalize(passages)
    scores = (scale * torch.nn.functional.normalize(anchors)) @ known.T
    scores = scores.masked_fill_(forbidden, -torch.inf)
    each = torch.nn.functional.cross_entropy(scores, target, reduction="none")
    if score is not None and bool((score < 1).any()):
        each = score * each + (1 - score) * _of_the_others(scores, target)
    return (weight * each).sum() / weight.sum()


def _of_the_others(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the cross entropy of "not the target"; 0 for a row without any other passage."""
    others = scores.scatter(1, target[:, None], -torch.inf)
    alone = torch.isinf(others).all(dim=1)
    others = others.masked_fill(alone[:, None], 0.0)
    lost: torch.Tensor = torch.logsumexp(scores, dim=1) - torch.logsumexp(others, dim=1)
    return lost.masked_fill(alone, 0.0)
