"""Port: a batch of rows becomes one number to make smaller."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch

from desireline.trainer.lessons import Lessons

Features = dict[str, Any]
"""What the model's `preprocess` gives for some texts."""


class Loss(Protocol):
    """A `torch.nn.Module` made of the model, the lessons and the user's settings.

    Every loss counts each row by its weight, so that a row of double weight is a row that stands
    there twice, and pushes no row from a passage that `Lessons.forbidden` names.
    """

    def __init__(
        self, model: torch.nn.Module, lessons: Lessons, settings: Mapping[str, object]
    ) -> None: ...

    def __call__(self, features: list[Features], labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of one batch.

        Args:
            features: of the anchors, one a row; then of `lessons.passages_of(rows)`.
            labels: the rows of the batch, shape (rows,).

        """
        ...
