"""Learns grades: the right order of scored pairs, or the scores themselves."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import BaseModel, Field

from desireline.trainer.errors import LossError
from desireline.trainer.lessons import Lessons
from desireline.trainer.losses.rows import Rows
from desireline.trainer.losses.vectors import VectorLoss


class CosentConfig(BaseModel, frozen=True, extra="forbid"):
    """How sharply a wrong order counts."""

    kind: Literal["cosent"] = "cosent"
    scale: float = Field(default=20.0, gt=0)


class CosineConfig(BaseModel, frozen=True, extra="forbid"):
    """Nothing to set."""

    kind: Literal["cosine"] = "cosine"


class Cosent(VectorLoss):
    """The log of one plus every wrong order among the scored pairs of a batch (CoSENT, Su 2022).

    Two rows count by the product of their weights. A row's own negatives are pairs of score 0.
    """

    def __init__(
        self, model: torch.nn.Module, lessons: Lessons, settings: Mapping[str, object]
    ) -> None:
        super().__init__(model, lessons)
        self._scale = CosentConfig.model_validate(settings).scale
        _check_scores(lessons, "cosent")

    def of_vectors(self, anchors: torch.Tensor, passages: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Return the loss of a batch; see `VectorLoss`."""
        cosines, scores, weights = _scored(anchors, passages, rows)
        wrong = self._scale * (cosines[None, :] - cosines[:, None])
        wrong = wrong + torch.log(weights)[:, None] + torch.log(weights)[None, :]
        above = scores[:, None] > scores[None, :]
        terms = wrong[above]
        loss: torch.Tensor = torch.logsumexp(torch.cat([terms.new_zeros(1), terms]), dim=0)
        return loss


class CosineScores(VectorLoss):
    """Squared error of the cosine of a pair beside its score.

    A row's own negatives are pairs of score 0.
    """

    def __init__(
        self, model: torch.nn.Module, lessons: Lessons, settings: Mapping[str, object]
    ) -> None:
        super().__init__(model, lessons)
        CosineConfig.model_validate(settings)
        _check_scores(lessons, "cosine")

    def of_vectors(self, anchors: torch.Tensor, passages: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Return the loss of a batch; see `VectorLoss`."""
        cosines, scores, weights = _scored(anchors, passages, rows)
        total = weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)
        loss: torch.Tensor = (weights * (cosines - scores) ** 2).sum() / total
        return loss


def _scored(
    anchors: torch.Tensor, passages: torch.Tensor, rows: Rows
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return cosine, score and weight of each row, then of each row's own negatives."""
    row, column, _ = rows.own
    number = torch.cat([torch.arange(len(anchors), device=row.device), row])
    passage = torch.cat([rows.target, column])
    cosines = torch.nn.functional.cosine_similarity(anchors[number], passages[passage])
    scores = torch.cat([rows.score, torch.zeros_like(rows.weight[row])])
    return cosines, scores, rows.weight[number]


def _check_scores(lessons: Lessons, name: str) -> None:
    different = {float(score) for score in lessons.score}
    if any(len(negatives) for negatives in lessons.negatives):
        different.add(0.0)
    if len(different) < 2:  # noqa: PLR2004 - one score has no order
        raise LossError(
            f"{name} learns from differences between scores, and all {len(lessons.anchors):,} "
            f"pairs have the score {next(iter(different), 1.0):g}; nothing was trained",
            next_step="give rows of query, document and a score from 0 to 1, or take infonce",
        )
