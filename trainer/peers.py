"""Processes that train one encoder together, each on a device of its own.

`torchrun` starts them and tells each its number. All draw the same batches; each embeds its share
of a batch, and gradients are summed. The first writes; the others only compute.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed

from desireline.trainer.errors import TrainerError

T = TypeVar("T")

#: How long the others are waited for: as long as the first takes to read, plan or write.
_PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """One process among those that train together."""

    #: 0 leads.
    number: int
    count: int
    #: What they talk by; None where there is nobody to talk to.
    backend: str | None = None

    @property
    def leads(self) -> bool:
        """Whether this one writes and speaks for all."""
        return self.number == 0

    def share(self, texts: int) -> slice:
        """Say which of some texts, sorted by length, are this one's: equally many, equally long."""
        return slice(self.number, texts, self.count)

    def gathered(self, own: torch.Tensor, rows: int) -> torch.Tensor:
        """Return the rows of all, of which each holds its `share`; shape (rows, dimension).

        A gradient flows into this process's own rows alone.
        """
        places = [torch.arange(rows)[number :: self.count] for number in range(self.count)]
        longest = len(places[0])
        padded = own.new_zeros((longest, own.shape[1]))
        padded[: len(own)] = own.detach()
        parts = [torch.empty_like(padded) for _ in range(self.count)]
        with self._together():
            distributed.all_gather(parts, padded)
        found = own.new_empty((rows, own.shape[1]))
        for number, place in enumerate(places):
            found[place.to(own.device)] = parts[number][: len(place)]
        return found.index_copy(0, places[self.number].to(own.device), own)

    def add_up(self, gradients: Iterable[torch.Tensor | None]) -> None:
        """Sum gradients over all processes, in place."""
        there = [each for each in gradients if each is not None]
        if self.count == 1 or not there:
            return
        flat = torch.cat([each.reshape(-1) for each in there])
        with self._together():
            distributed.all_reduce(flat)
        at = 0
        for each in there:
            each.copy_(flat[at : at + each.numel()].view_as(each))
            at += each.numel()

    def same(self, tensors: Iterable[torch.Tensor]) -> None:
        """Give all processes the leader's numbers, in place."""
        if self.count > 1:
            with torch.no_grad(), self._together():
                for each in tensors:
                    distributed.broadcast(each, src=0)

    def agreed(self, value: T) -> T:
        """Return the leader's value: one clock and one judge decide for all."""
        if self.count == 1:
            return value
        held = [value]
        with self._together():
            distributed.broadcast_object_list(held, src=0)
        return held[0]

    def wait(self) -> None:
        """Go on when all are here."""
        self.agreed("")

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Say in one sentence what it means when one of them is gone."""
        try:
            yield
        except RuntimeError as error:
            raise TrainerError(
                f"process {self.number + 1} of {self.count} that train together waits in vain for"
                f" another one: {str(error).splitlines()[0]}; nothing was written",
                next_step="look above for what ended the other one, often memory, and start again",
            ) from error


_ALONE = Peers(number=0, count=1)
_apart: ContextVar[bool] = ContextVar("apart", default=False)


@contextmanager
def apart() -> Iterator[None]:
    """Let this process be alone for a while, to find out what it can by itself."""
    token = _apart.set(True)
    try:
        yield
    finally:
        _apart.reset(token)


def peers() -> Peers:
    """Return this process among those that `torchrun` started; alone where it did not.

    The first call of each joins the others. On CUDA it takes the GPU of its number.
    """
    started = distributed.is_available() and distributed.is_torchelastic_launched()
    if not started or _apart.get():
        return _ALONE
    if not distributed.is_initialized():
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(distributed.get_node_local_rank())
        distributed.init_process_group("nccl" if cuda else "gloo", timeout=_PATIENCE)
    return Peers(
        number=distributed.get_rank(),
        count=distributed.get_world_size(),
        backend=distributed.get_backend(),
    )
