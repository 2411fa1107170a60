"""Losses around another one: large batches in little memory, and vectors that can be cut off."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, Field
from torch.utils.checkpoint import checkpoint

from desireline.trainer.errors import LossError
from desireline.trainer.lessons import Lessons
from desireline.trainer.losses.base import Features
from desireline.trainer.losses.embedding import embed_here, embed_together
from desireline.trainer.losses.rows import Rows
from desireline.trainer.losses.vectors import VectorLoss, vector_loss

_TABLE = 2


class CachedConfig(BaseModel, frozen=True, extra="forbid"):
    """Which loss, and how many texts at once."""

    kind: Literal["cached"] = "cached"
    loss: str = "infonce"
    settings: dict[str, object] = {}
    #: Texts that go through the encoder together.
    chunk: int = Field(default=32, ge=1)


class MatryoshkaConfig(BaseModel, frozen=True, extra="forbid"):
    """Which loss, and the lengths at which it is asked."""

    kind: Literal["matryoshka"] = "matryoshka"
    loss: str = "infonce"
    settings: dict[str, object] = {}
    dimensions: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)
    #: How much each length counts; all the same if left out.
    weights: tuple[Annotated[float, Field(gt=0)], ...] | None = None


class Cached(torch.nn.Module):
    """Another loss over a batch of any size, in the memory of one chunk (Gao et al. 2021).

    Every text is embedded without keeping how; each chunk goes through the encoder again when
    its gradient is known, with the same random draws. The gradient is that of the whole batch.
    """

    def __init__(
        self, model: torch.nn.Module, lessons: Lessons, settings: Mapping[str, object]
    ) -> None:
        super().__init__()
        config = CachedConfig.model_validate(settings)
        self.inner = vector_loss(config.loss, model, lessons, config.settings)
        self.inner.embed = partial(embed_together, partial(_in_chunks, size=config.chunk))

    def forward(self, features: list[Features], labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of one batch; see `Loss`."""
        loss: torch.Tensor = self.inner(features, labels)
        return loss


class Matryoshka(VectorLoss):
    """Another loss asked of the first numbers of each vector, for several lengths.

    Kusupati et al. 2022. The loss is the weighted mean over the lengths.
    """

    def __init__(
        self, model: torch.nn.Module, lessons: Lessons, settings: Mapping[str, object]
    ) -> None:
        super().__init__(model, lessons)
        config = MatryoshkaConfig.model_validate(settings)
        self.inner = vector_loss(config.loss, model, lessons, config.settings)
        weights = config.weights or (1.0,) * len(config.dimensions)
        if len(weights) != len(config.dimensions):
            raise LossError(
                f"matryoshka has {len(config.dimensions)} dimensions and {len(weights)} weights;"
                " nothing was trained",
                next_step="give one weight for each dimension, or none",
            )
        self._parts = tuple(zip(config.dimensions, weights, strict=True))
        self._total = sum(weights)
        _check_lengths(self.inner, model, config.dimensions)

    def of_vectors(self, anchors: torch.Tensor, passages: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Return the loss of a batch; see `VectorLoss`."""
        losses = [
            weight * self.inner.of_vectors(anchors[:, :length], passages[:, :length], rows)
            for length, weight in self._parts
        ]
        return torch.stack(losses).sum() / self._total


def _check_lengths(inner: VectorLoss, model: Any, lengths: tuple[int, ...]) -> None:
    whole = int(model.get_embedding_dimension())
    if max(lengths) > whole:
        raise LossError(
            f"matryoshka asks for {max(lengths)} numbers of vectors that have {whole};"
            " nothing was trained",
            next_step=f"name dimensions up to {whole}",
        )
    own = {id(weight) for weight in model.parameters()}
    if any(id(weight) not in own for weight in inner.parameters()):
        raise LossError(
            "matryoshka cannot cut off the vectors of a loss that has weights of their length;"
            " nothing was trained",
            next_step="wrap a loss between pairs, such as infonce or TripletMarginLoss",
        )


def _in_chunks(model: torch.nn.Module, features: Features, *, size: int) -> torch.Tensor:
    """Embed texts chunk by chunk, keeping nothing but the vectors until they are asked again.

    A table of word vectors has texts of no common length and keeps little: it takes all at once.
    """
    mask = features.get("attention_mask")
    if mask is None or mask.dim() != _TABLE:
        return embed_here(model, features)
    parts = [
        checkpoint(embed_here, model, part, use_reentrant=False, preserve_rng_state=True)
        for part in _cut(features, mask, size)
    ]
    return torch.cat(parts)


def _cut(features: Features, mask: torch.Tensor, size: int) -> list[Features]:
    return [
        {
            name: value[at : at + size]
            if isinstance(value, torch.Tensor) and value.shape[:1] == mask.shape[:1]
            else value
            for name, value in features.items()
        }
        for at in range(0, len(mask), size)
    ]
