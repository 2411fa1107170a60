"""The atomic swap and the way back: each is one compare-and-set of the pointer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from desireline.connectors.errors import StateConflictError
from desireline.connectors.search_engine import SearchEngine
from desireline.connectors.state_store import Record
from desireline.sidecar.errors import CutOverRefusedError, RevertRefusedError
from desireline.sidecar.generations import Generation, Generations, Pointer, State
from desireline.sidecar.lease import Lease
from desireline.sidecar.serving.live import LiveGeneration
from desireline.sidecar.steering.steps import Reached, Step, go_on


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOver:
    """What went live and what stays ready."""

    generation: int
    previous: int | None
    hold_until: datetime | None
    #: How long writes were held up, where an alias was swapped.
    pause_s: float | None = None

    @property
    def sentence(self) -> str:
        """One line for people."""
        text = f"generation {self.generation} is live"
        if self.pause_s is not None:
            text += f" after writes had waited {self.pause_s:.2f} s"
        if self.previous is None or self.hold_until is None:
            return text
        return (
            f"{text}; generation {self.previous} stays ready until"
            f" {self.hold_until:%Y-%m-%d %H:%M} UTC"
        )


def warm_up(engine: SearchEngine, shadow: LiveGeneration, canaries: Sequence[str]) -> int:
    """Run canary queries on the new slot, so that its graph is loaded before users come.

    Raises:
        CutOverRefusedError: a canary found nothing in the new slot.

    """
    for text in canaries:
        if not shadow.search(engine, text, 10):
            raise CutOverRefusedError(
                f"a canary query found nothing in slot {shadow.slot!r} of generation"
                f" {shadow.number}; the live generation is unchanged"
            )
    return len(canaries)


def cut_over(
    generations: Generations,
    generation: Generation,
    *,
    lease: Lease,
    hold: timedelta,
    reason: str,
    clock: Callable[[], datetime],
    reached: Reached = go_on,
) -> CutOver:
    """Make a ready generation live.

    Raises:
        CutOverRefusedError: the generation is not ready, the pointer moved meanwhile, or the
            vectors that it would search are not the live ones.
        LeaseLostError: another process owns the target.

    """
    lease.check()
    found = generations.pointer()
    state = generations.get(generation.number).state
    if state is not State.READY or (found and found[0].fencing > lease.fencing):
        raise CutOverRefusedError(
            f"generation {generation.number} is {state}"
            + (", not ready" if state is not State.READY else ", but another owner took over")
            + "; the live generation is unchanged"
        )
    previous = found[0].generation if found else None
    _require_shared(generations, generation, previous)
    now = clock()
    pointer = Pointer(
        generation=generation.number,
        previous=previous,
        hold_until=now + hold if previous is not None else None,
        changed_at=now,
        fencing=lease.fencing,
        reason=reason,
    )
    try:
        generations.point(pointer, expected=found[1] if found else None)
    except StateConflictError as error:
        raise CutOverRefusedError(
            "the pointer was changed by somebody else during the cut-over; nothing was swapped",
            next_step="look at `desireline generations`, then run the command again",
        ) from error
    reached(Step.POINTER_WRITTEN)
    generations.reconcile(now)
    reached(Step.STATES_SETTLED)
    return CutOver(generation=pointer.generation, previous=previous, hold_until=pointer.hold_until)


def _require_shared(generations: Generations, generation: Generation, live: int | None) -> None:
    """See that the vectors a generation borrows are live: nothing else is kept fresh for it."""
    if generation.vectors_of is None:
        return
    if live is None or generations.get(live).vectors != generation.vectors:
        raise CutOverRefusedError(
            f"generation {generation.number} searches the vectors of generation"
            f" {generation.vectors_of}, and those are not live any more; nothing was swapped",
            next_step="run the command again: it begins anew over what is live",
        )


def way_back(generations: Generations, now: datetime) -> tuple[Pointer, Record]:
    """Return the pointer whose former generation can serve again.

    Raises:
        RevertRefusedError: there is nothing to go back to.

    """
    generations.reconcile(now)
    found = generations.pointer()
    if found is None or found[0].previous is None:
        raise RevertRefusedError(
            f"target {generations.target!r} has no retained generation to go back to;"
            " what serves is unchanged"
        )
    pointer, record = found
    former = generations.get(found[0].previous)
    if (
        former.state is not State.RETAINED
        and former.vectors == generations.get(pointer.generation).vectors
    ):
        raise RevertRefusedError(
            f"the hold of generation {pointer.previous} ended at"
            f" {pointer.hold_until:%Y-%m-%d %H:%M} UTC; its vectors are the live ones, so its"
            " encoder can be put live without embedding a document",
            next_step=f"desireline reindex {generations.target} --model {former.fingerprint}",
        )
    if former.state is not State.RETAINED:
        raise RevertRefusedError(
            f"the hold of generation {pointer.previous} ended at"
            f" {pointer.hold_until:%Y-%m-%d %H:%M} UTC and its slot is no longer kept fresh;"
            " what serves is unchanged",
            next_step="re-embed with it: desireline reindex TARGET --model FINGERPRINT",
        )
    return pointer, record


def revert(
    generations: Generations,
    *,
    reason: str,
    clock: Callable[[], datetime],
    alias_swapped: bool = False,
) -> CutOver:
    """Bring the retained generation back. The one left stays ready in its place.

    Needs no lease: a build that takes the retained slot gives up the way back in the
    pointer first, so one of the two writes conflicts.

    Args:
        generations: of the target.
        reason: told beside the pointer.
        clock: of wall time.
        alias_swapped: whether the alias points to the former generation's index again.

    Raises:
        RevertRefusedError: there is nothing to go back to, or it is in another index that
            must be brought up to date first.

    """
    now = clock()
    pointer, record = way_back(generations, now)
    assert pointer.previous is not None, "way_back sees to it"
    elsewhere = generations.get(pointer.previous).index
    if not alias_swapped and generations.get(pointer.generation).index != elsewhere:
        raise RevertRefusedError(
            f"generation {pointer.previous} is in the index {elsewhere!r}, which must be brought up"
            " to date before the alias can go back to it; what serves is unchanged",
            next_step=f"desireline revert {generations.target}",
        )
    swapped = pointer.model_copy(
        update={
            "generation": pointer.previous,
            "previous": pointer.generation,
            "changed_at": now,
            "reason": reason,
        }
    )
    try:
        generations.point(swapped, expected=record)
    except StateConflictError as error:
        raise RevertRefusedError(
            "the pointer was changed by somebody else meanwhile; nothing was swapped",
            next_step="look at `desireline generations`, then try again",
        ) from error
    generations.reconcile(now)
    return CutOver(
        generation=swapped.generation,
        previous=swapped.previous,
        hold_until=swapped.hold_until,
    )
