"""Puts the weights of rows, and what may be right, into pytorch-metric-learning's losses."""

from typing import Any

import torch
from pytorch_metric_learning import reducers


class WeightedReducer(reducers.BaseReducer):  # type: ignore[misc]  # untyped library
    """The library's mean, in which each row counts by its weight."""

    def __init__(self, *, zeros_count: bool) -> None:
        super().__init__()
        self._zeros_count = zeros_count
        self.of_rows = torch.ones(1)

    @classmethod
    def put_into(cls, criterion: Any) -> "WeightedReducer":
        """Replace the reducer of a loss, or of each of its parts, and return the new one."""
        before = criterion.reducer
        parts = dict(before.reducers) if isinstance(before, reducers.MultipleReducers) else {}
        plain = all(type(each) is reducers.MeanReducer for each in (parts.values() or [before]))
        weighted = cls(zeros_count=plain)
        criterion.reducer = (
            reducers.MultipleReducers(dict.fromkeys(parts, weighted)) if parts else weighted
        )
        return weighted

    def element_reduction(self, losses: Any, indices: Any, *_: Any) -> torch.Tensor:
        """Return the weighted mean; `indices` are rows."""
        each = losses.reshape(-1)
        weight = self.of_rows[indices].to(each.dtype)
        if not self._zeros_count:
            weight = weight * (each > 0)
        total = weight.sum().clamp(min=torch.finfo(each.dtype).tiny)
        mean: torch.Tensor = (weight * each).sum() / total
        return mean

    def pos_pair_reduction(self, losses: Any, indices: Any, *_: Any) -> torch.Tensor:
        """Return the weighted mean over pairs."""
        return self.element_reduction(losses, indices[0])

    def neg_pair_reduction(self, losses: Any, indices: Any, *_: Any) -> torch.Tensor:
        """Return the weighted mean over pairs."""
        return self.element_reduction(losses, indices[0])

    def triplet_reduction(self, losses: Any, indices: Any, *_: Any) -> torch.Tensor:
        """Return the weighted mean over triplets."""
        return self.element_reduction(losses, indices[0])


class ClassMask(torch.nn.Module):
    """Cross entropy over classes, of which some are left out for some texts."""

    def __init__(self) -> None:
        super().__init__()
        self.forbidden = torch.zeros((1, 1), dtype=torch.bool)

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return one number a text."""
        fair = logits.masked_fill(self.forbidden, -torch.inf)
        return torch.nn.functional.cross_entropy(fair, labels, reduction="none")
