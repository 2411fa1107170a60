"""What a loss knows of a batch: weights, grades, and who may be pushed from whom."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from desireline.trainer.lessons import Indices, Lessons


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of a batch beside the distinct passages that it encodes."""

    #: The rows among all lessons, and the passages among all passages.
    numbers: tuple[int, ...]
    passages: Indices
    #: How much a row counts, shape (rows,).
    weight: torch.Tensor
    #: How right its positive is, 0 to 1, shape (rows,).
    score: torch.Tensor
    #: Column of its positive, shape (rows,).
    target: torch.Tensor
    #: Passages that may be right for a row without being its positive, shape (rows, passages).
    forbidden: torch.Tensor
    #: Document of each passage, shape (passages,).
    document: torch.Tensor
    #: Passages that say what the row's anchor says, shape (rows, passages).
    same_text: torch.Tensor
    #: The negatives that rows brought themselves: row, column and a teacher's margin, each of
    #: shape (negatives,); the margin is no number where there is no teacher.
    own: tuple[torch.Tensor, torch.Tensor, torch.Tensor]

    @classmethod
    def of(cls, lessons: Lessons, numbers: list[int], device: torch.device) -> "Rows":
        """Look the rows of these numbers up."""
        passages = lessons.passages_of(numbers)
        forbidden = lessons.forbidden(numbers, passages)
        row, column, margin = _own(lessons, numbers, passages)
        fair = ~forbidden[row, column]

        def there(values: object) -> torch.Tensor:
            return torch.as_tensor(np.asarray(values), device=device)

        return cls(
            numbers=tuple(numbers),
            passages=passages,
            weight=there(lessons.weight[numbers]),
            score=there(lessons.score[numbers]),
            target=there(np.searchsorted(passages, lessons.positive[numbers])),
            forbidden=there(forbidden),
            document=there(lessons.document[passages]),
            same_text=there(_same_text(lessons, numbers, passages)),
            own=(there(row[fair]), there(column[fair]), there(margin[fair])),
        )

    @cached_property
    def is_target(self) -> torch.Tensor:
        """Whether a passage is the row's own positive, shape (rows, passages)."""
        columns = torch.arange(len(self.document), device=self.target.device)
        return columns == self.target[:, None]

    @cached_property
    def positives(self) -> torch.Tensor:
        """The row's positive, and other passages of its document that say something new."""
        same = self.document[self.target][:, None] == self.document
        return self.is_target | (same & ~self.same_text)

    @cached_property
    def negatives(self) -> torch.Tensor:
        """The passages that a row may be pushed from, shape (rows, passages)."""
        return ~self.forbidden & ~self.is_target

    def mean(self, of_rows: torch.Tensor) -> torch.Tensor:
        """Return the mean of one number a row, each counted by its weight."""
        total = self.weight.sum().clamp(min=torch.finfo(self.weight.dtype).tiny)
        return (self.weight * of_rows).sum() / total


def _same_text(lessons: Lessons, numbers: list[int], passages: Indices) -> NDArray[np.bool_]:
    """Compare by numbers: a large batch has millions of pairs of texts."""
    known: dict[str, int] = {}
    texts = [known.setdefault(lessons.passages[each].text, len(known)) for each in passages]
    anchors = [known.get(lessons.anchors[number], -1) for number in numbers]
    return np.asarray(np.array(anchors)[:, None] == np.array(texts))


def _own(
    lessons: Lessons, numbers: list[int], passages: Indices
) -> tuple[Indices, Indices, NDArray[np.float32]]:
    """Return row, column and margin of the negatives that the rows brought."""
    brought = [lessons.negatives[number] for number in numbers]
    row = np.repeat(np.arange(len(numbers)), [len(some) for some in brought])
    column = np.searchsorted(passages, np.concatenate([*brought, np.empty(0, dtype=np.intp)]))
    margin = np.full(len(row), np.nan, dtype=np.float32)
    at = 0
    for number, some in zip(numbers, brought, strict=True):
        margins = lessons.margins[number]
        if len(margins) == len(some):
            margin[at : at + len(some)] = margins
        at += len(some)
    return row, column, margin
