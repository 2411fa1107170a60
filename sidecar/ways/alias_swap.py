"""The alias from one index to its copy, with no write lost: hold writes up, catch up, swap.

Order, and what a crash after each step leaves behind:

1. the block goes on record: nothing has happened, the next start forgets it;
2. the watchdog runs, a ticket is put on the index, writes are held up: the watchdog, or the next
   start, takes the ticket away and lets them in; the state is as before;
3. the last writes are copied, the copy is looked at once more: as above;
4. one request moves the alias, if it and the ticket are still there: the next start finds the
   alias moved and writes the pointer.

The index that was left stays blocked: a write that still comes to it fails loudly.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from desireline.connectors.errors import DesirelineError, StateConflictError
from desireline.connectors.search_engine import Fence
from desireline.sidecar.errors import PauseTooLongError
from desireline.sidecar.lease import Lease
from desireline.sidecar.steering.steps import Reached, Step
from desireline.sidecar.ways.copy_proof import CopyProof, Prover
from desireline.sidecar.ways.copying import Copier
from desireline.sidecar.ways.watchdog import watchdog
from desireline.sidecar.ways.write_block import Purpose, WriteBlock, WriteBlocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Swapped:
    """How long writes were held up for the swap."""

    pause_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasSwap:
    """One swap, which may take several tries."""

    copier: Copier
    prover: Prover
    blocks: WriteBlocks
    lease: Lease
    target: str
    alias: str
    reason: str
    #: The longest that writes may be held up, in seconds.
    pause_s: float
    #: Until when the index that was left stays blocked if no generation there is retained.
    hold_until: datetime | None
    #: Told the copy's own fence, before the application can write to it.
    about_to_swap: Callable[[Fence], None]
    reached: Reached
    monotonic: Callable[[], float] = time.monotonic

    def attempt(self, number: int, proof: CopyProof) -> Swapped:
        """Hold writes up, copy the last ones, swap.

        Raises:
            PauseTooLongError: it would have taken too long; all is as before.
            StateConflictError: the alias was moved by somebody else; all is as before.
            DesirelineError: something else went wrong; all is as before, or the next start
                makes it so.

        """
        self.lease.check()
        self.blocks.put(self._block(Purpose.SWAP))
        self.reached(Step.BLOCK_RECORDED)
        with watchdog(
            self.copier.engine,
            alias=self.alias,
            index=self.copier.source,
            new_index=self._new,
            limit_s=self.pause_s,
        ) as dog:
            try:
                dog.arm()
                with self.copier.hurrying(self.pause_s):
                    swapped = self._swap(number, proof)
            except BaseException:
                if self._give_up():
                    dog.dismiss()
                raise
            dog.dismiss()
        return swapped

    def hold(self) -> None:
        """Note, once the pointer is written, that the index that was left stays blocked."""
        self.blocks.put(self._block(Purpose.HOLD))

    @property
    def _new(self) -> str:
        return self.copier.generation.index

    def _block(self, purpose: Purpose) -> WriteBlock:
        return WriteBlock(
            target=self.target,
            index=self.copier.source,
            alias=self.alias,
            new_index=self._new,
            generation=self.copier.generation.number,
            fencing=self.lease.fencing,
            purpose=purpose,
            reason=self.reason,
            until=self.hold_until,
        )

    def _swap(self, number: int, proof: CopyProof) -> Swapped:
        engine, began = self.copier.engine, self.monotonic()
        ticket = f"{self._new}-ticket-{self.lease.fencing}-{number}"
        engine.block_writes(self.copier.source, ticket)
        self.reached(Step.WRITES_BLOCKED)
        self._in_time(began)
        self.copier.catch_up()
        self._require_same(began, proof)
        self.reached(Step.LAST_WRITES_COPIED)
        self.about_to_swap(engine.fence(self._new))
        self._in_time(began)
        self.lease.check()
        self._move(ticket)
        pause_s = self.monotonic() - began
        self.reached(Step.ALIAS_SWAPPED)
        return Swapped(pause_s=pause_s)

    def _require_same(self, began: float, proof: CopyProof) -> None:
        """Look at the copy for the last time: equal counts, and what kept changing before."""
        engine = self.copier.engine
        generation = self.copier.generation
        counted = engine.coverage(self._new, generation.slot, generation.stamp_number)
        documents = engine.count(self.copier.source)
        if counted.documents != documents:
            self._in_time(began)
            self._remove_deleted(began)
            counted = engine.coverage(self._new, generation.slot, generation.stamp_number)
        differences = self.prover.differences_of(proof.unsettled)
        if counted.documents != documents or differences:
            what = (
                differences[0]
                if differences
                else (f"the copy has {counted.documents:,} documents and the index {documents:,}")
            )
            raise PauseTooLongError(f"the copy was not complete in time: {what}")
        self._in_time(began)

    def _remove_deleted(self, began: float) -> None:
        for gone in self.copier.orphans():
            self.copier.remove(gone)
            self._in_time(began)

    def _in_time(self, began: float) -> None:
        held_up = self.monotonic() - began
        if held_up > self.pause_s:
            raise PauseTooLongError(
                f"writes had been held up for {held_up:.1f} s, the limit is {self.pause_s:g} s;"
                " they were let in again and nothing was swapped"
            )

    def _move(self, ticket: str) -> None:
        engine = self.copier.engine
        try:
            engine.swap_alias(self.alias, self.copier.source, self._new, ticket)
        except DesirelineError as error:
            # It may have been carried out although no answer came.
            state = engine.alias_state(self.alias)
            if state.index == self._new:
                return
            if isinstance(error, StateConflictError) and state.index == self.copier.source:
                raise PauseTooLongError(
                    "writes were let in again before the swap, so it did not happen"
                ) from error
            raise

    def _give_up(self) -> bool:
        """Let writes in again, unless the alias has moved; say whether that is settled."""
        engine = self.copier.engine
        with suppress(DesirelineError):
            engine.void_tickets(self.copier.source)
            if engine.alias_state(self.alias).index != self._new:
                engine.unblock_writes(self.copier.source)
                self.blocks.remove(self.copier.source)
                self.reached(Step.WRITES_RELEASED)
            return True
        return False
