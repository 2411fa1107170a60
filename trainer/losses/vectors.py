"""A loss that needs no more of the model than its vectors, and how one is made by name."""

from collections.abc import Callable, Mapping

import torch
from pydantic import ValidationError

from desireline.connectors import plugins
from desireline.trainer.errors import LossError
from desireline.trainer.lessons import Lessons
from desireline.trainer.losses.base import Features
from desireline.trainer.losses.embedding import Embed, embed
from desireline.trainer.losses.names import settings_of_loss
from desireline.trainer.losses.rows import Rows

LossMaker = Callable[[str, torch.nn.Module, Lessons, Mapping[str, object]], torch.nn.Module]
"""Makes a loss of its name, the model, the lessons and the settings, as `make_loss` does."""


class VectorLoss(torch.nn.Module):
    """Embeds the rows of a batch and their passages, and leaves the rest to `of_vectors`."""

    def __init__(self, model: torch.nn.Module, lessons: Lessons) -> None:
        super().__init__()
        self.model = model
        self.lessons = lessons
        self.embed: Embed = embed

    def forward(self, features: list[Features], labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of one batch; see `Loss`."""
        anchors, passages = (self.embed(self.model, part).float() for part in features)
        rows = Rows.of(self.lessons, labels.tolist(), anchors.device)
        return self.of_vectors(anchors, passages, rows)

    def of_vectors(self, anchors: torch.Tensor, passages: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Return the loss of a batch.

        Args:
            anchors: shape (rows, dimension), of any length.
            passages: shape (passages, dimension), of any length.
            rows: what is known of them.

        """
        raise NotImplementedError


def make_loss(
    name: str, model: torch.nn.Module, lessons: Lessons, settings: Mapping[str, object]
) -> torch.nn.Module:
    """Make an installed loss.

    Raises:
        LossError: its settings are wrong (all are named), or it cannot learn from such pairs.

    """
    try:
        loss: torch.nn.Module = plugins.load("losses", name)(model, lessons, settings)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        raise LossError(
            f"the settings of the loss {name} are wrong: {wrong}; nothing was trained",
            next_step="docs/fit.md lists the settings of each loss",
        ) from error
    return loss


def vector_loss(
    name: str, model: torch.nn.Module, lessons: Lessons, settings: Mapping[str, object]
) -> VectorLoss:
    """Make a loss for another one to wrap, by any of its names.

    Raises:
        LossError: as `make_loss`, or it cannot be wrapped.

    """
    name, settings = settings_of_loss(name, settings, None, None)
    loss = make_loss(name, model, lessons, settings)
    if isinstance(loss, VectorLoss):
        return loss
    raise LossError(
        f"the loss {name} cannot be wrapped: it asks the model for more than vectors",
        next_step="wrap infonce, guided, margin_mse, cosent, cosine or metric_learning",
    )
