"""Batches on their device when they are wanted: made beforehand, in the background, on a GPU."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch

from desireline.trainer.lessons import Indices
from desireline.trainer.losses.embedding import LENGTHS

Batch = dict[str, Any]
Collate = Callable[[list[dict[str, int]]], Batch]

#: Batches made beforehand: one that is copied, one that is tokenised.
_AHEAD = 2


class BatchStream:
    """Goes through drawn batches once and in order.

    With `ahead` above 0 another thread tokenises so many batches beforehand, into pinned memory
    where the device is a GPU, so that the copy runs beside the computation. On a processor that
    would only take the training's own cores, so batches are made when they are wanted.
    """

    def __init__(
        self,
        batches: Sequence[Indices],
        collate: Collate,
        device: torch.device,
        *,
        ahead: int | None = None,
    ) -> None:
        self._batches = batches
        self._collate = collate
        self._device = device
        self._pinned = device.type == "cuda"
        self._ahead = (_AHEAD if self._pinned else 0) if ahead is None else ahead

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        made = self._beforehand() if self._ahead else map(self._made, self._batches)
        return (self._moved(batch) for batch in made)

    def _beforehand(self) -> Iterator[Batch]:
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
            waiting: deque[Future[Batch]] = deque()
            try:
                for batch in self._batches:
                    waiting.append(thread.submit(self._made, batch))
                    if len(waiting) > self._ahead:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for each in waiting:
                    each.cancel()

    def _made(self, rows: Indices) -> Batch:
        batch = self._collate([{"label": row} for row in rows.tolist()])
        return _each(batch, torch.Tensor.pin_memory) if self._pinned else batch

    def _moved(self, batch: Mapping[str, Any]) -> Batch:
        return _each(batch, lambda value: value.to(self._device, non_blocking=self._pinned))


def _each(batch: Mapping[str, Any], change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
    """Change all tensors but lengths, which are for the processor to read."""
    return {
        name: change(value)
        if isinstance(value, torch.Tensor) and not name.endswith(LENGTHS)
        else value
        for name, value in batch.items()
    }
