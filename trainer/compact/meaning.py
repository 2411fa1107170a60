"""Which category a query means, as a part of the loss: one trunk for retrieval and for intent.

After JD's encoder for product search (Cui et al. 2022, arXiv 2208.06150). The map to categories
trains with the encoder and is thrown away: the head that serves is learned anew, calibrated and
judged for whichever encoder goes live; see `desireline.trainer.intent`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from desireline.trainer.intent.lessons import IntentLessons, intent_lessons
from desireline.trainer.losses.rows import Rows
from desireline.trainer.pairs import Pair

#: Cosines are multiplied by this before the map: numbers of unit vectors are small.
_SCALE = 20.0
#: With fewer categories there is nothing to tell apart.
_FEWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """What queries mean: categories of the documents that answer them, in shares."""

    lessons: IntentLessons

    @classmethod
    def of(cls, pairs: Sequence[Pair], categories: Mapping[str, Sequence[str]]) -> "Meant | None":
        """Return it for the pairs of people; None where it would tell nothing apart."""
        lessons = intent_lessons(pairs, categories, {}, most_titles=0)
        if not lessons.queries or len(lessons.categories) < _FEWEST:
            return None
        return cls(lessons=lessons)


class CategoryLoss(torch.nn.Module):
    """Cross entropy of a linear map from queries to the categories that they mean.

    Every row counts by its pair's weight, as in the loss of answers, so that doubtful clicks teach
    little. A query without a category teaches nothing here.
    """

    def __init__(self, dimension: int, meant: Meant, anchors: Sequence[str]) -> None:
        super().__init__()
        numbers = {query: number for number, query in enumerate(meant.lessons.queries)}
        self.head = torch.nn.Linear(dimension, len(meant.lessons.categories))
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)
        self._shares = torch.from_numpy(meant.lessons.of_queries)
        self._query = torch.tensor([numbers.get(anchor, -1) for anchor in anchors])

    def forward(self, anchors: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Return the loss of the rows of a batch, by their vectors."""
        query = self._query[list(rows.numbers)].to(anchors.device)
        weight = rows.weight * (query >= 0)
        shares = self._shares.to(anchors.device)[query.clamp(min=0)]
        told: torch.Tensor = self.head(_SCALE * torch.nn.functional.normalize(anchors))
        losses = -(shares * told.log_softmax(dim=1)).sum(dim=1)
        total = weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)
        return (weight * losses).sum() / total
