"""Generations of a target, their states, and the pointer that names the live one.

The pointer is the only truth about what serves. It is one record changed by
compare-and-set: cut-over, revert and the loss of the way back are each one write of it.
The states in the generation records are told after it and mended from it by `reconcile`.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from desireline.connectors.errors import StateConflictError
from desireline.connectors.search_engine import Fence, Similarity, Slot
from desireline.connectors.state_store import Record, StateStore
from desireline.sidecar.errors import HoldError, SidecarError

_Model = TypeVar("_Model", bound=BaseModel)

GENERATION = "generation"
POINTER = "pointer"


class State(StrEnum):
    """Where a generation stands."""

    #: Documents are being embedded into its slot.
    BUILDING = "building"
    #: Every document carries it; it may go live.
    READY = "ready"
    #: Queries are answered by it.
    LIVE = "live"
    #: Kept fresh, so that one write goes back to it.
    RETAINED = "retained"
    #: Its slot is free for another.
    RETIRED = "retired"
    #: It could not be built.
    FAILED = "failed"
    #: The operator gave it up.
    CANCELLED = "cancelled"


class Generation(BaseModel):
    """One encoder's embeddings in one slot; numbered, never reused.

    A generation of the query way has no embeddings of its own: its queries are compared with the
    vectors of an earlier one, `vectors_of`, in the same slot and under that one's stamps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    number: int
    state: State
    index: str
    slot: str
    dimension: int
    similarity: Similarity
    fingerprint: str
    parent: int | None = None
    cycle: str | None = None
    created_at: AwareDatetime
    #: Taken before the first document was read; catch-up begins here.
    started_at_fence: dict[str, int] = {}
    #: Up to here every write has been embedded into the slot.
    caught_up: dict[str, int] = {}
    #: In a slot of the live index, in an index of its own behind the alias, or over the vectors
    #: of the generation before.
    way: Literal["slot", "index", "query"] = "slot"
    #: Number of the generation that embedded the documents; None: this one. Never a chain.
    vectors_of: int | None = None
    #: The other index of a copy: its documents come from there, until it is live itself.
    copied_from: str | None = None
    #: Up to here, in the other index, every write has been copied.
    copied: dict[str, int] = {}
    #: Why it is in this state.
    reason: str = ""

    @property
    def stamp_number(self) -> int:
        """The number that the stamps of its documents bear."""
        return self.number if self.vectors_of is None else self.vectors_of

    @property
    def vectors(self) -> tuple[str, str, int]:
        """Index, slot and stamp: where its vectors lie. Equal for those that share them."""
        return self.index, self.slot, self.stamp_number

    @property
    def vector_slot(self) -> Slot:
        """The slot as the engine knows it."""
        return Slot(name=self.slot, dimension=self.dimension, similarity=self.similarity)

    @property
    def fence(self) -> Fence:
        """Where catch-up goes on."""
        return Fence(positions=self.caught_up or self.started_at_fence)


class Pointer(BaseModel):
    """Which generation is live, and which one a revert would bring back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    generation: int
    #: Kept fresh until `hold_until`; None when there is no way back.
    previous: int | None = None
    hold_until: AwareDatetime | None = None
    changed_at: AwareDatetime
    #: Fencing number of the lease under which it was written.
    fencing: int
    reason: str = ""


class Generations:
    """The generations of one target in a state store."""

    def __init__(self, store: StateStore, target: str) -> None:
        self._store = store
        self.target = target

    def all(self) -> list[Generation]:
        """Return every generation, oldest first."""
        prefix = f"{self.target}:"
        records = [r for r in self._store.list(GENERATION) if r.key.startswith(prefix)]
        return [_read(Generation, record) for record in records]

    def get(self, number: int) -> Generation:
        """Return one generation. Raises SidecarError when there is none of this number."""
        record = self._store.get(GENERATION, self._key(number))
        if record is None:
            raise SidecarError(f"target {self.target!r} has no generation {number}")
        return _read(Generation, record)

    def create(self, **fields: Any) -> Generation:
        """Add a generation under the next free number, in state building."""
        while True:
            number = max((g.number for g in self.all()), default=0) + 1
            generation = Generation(
                target=self.target, number=number, state=State.BUILDING, **fields
            )
            try:
                self._store.put(GENERATION, self._key(number), _body(generation), expected=None)
            except StateConflictError:
                continue
            return generation

    def change(self, generation: Generation, **fields: Any) -> Generation:
        """Change fields of the record as it is now; last writer wins on different fields."""
        while True:
            record = self._store.get(GENERATION, self._key(generation.number))
            if record is None:
                raise SidecarError(f"generation {generation.number} has vanished from the store")
            changed = _read(Generation, record).model_copy(update=fields)
            try:
                self._store.put(GENERATION, record.key, _body(changed), expected=record)
            except StateConflictError:
                continue
            return changed

    def pointer(self) -> tuple[Pointer, Record] | None:
        """Return the pointer and the record that the next change of it must name."""
        record = self._store.get(POINTER, self.target)
        return None if record is None else (_read(Pointer, record), record)

    def live(self) -> Generation | None:
        """Return the generation that serves, as the pointer says."""
        found = self.pointer()
        return None if found is None else self.get(found[0].generation)

    def point(self, pointer: Pointer, *, expected: Record | None) -> None:
        """Write the pointer. Raises StateConflictError when somebody else did first."""
        self._store.put(POINTER, self.target, _body(pointer), expected=expected)

    def claim(self, fencing: int) -> None:
        """Put the new owner's fencing number into the pointer.

        A former owner that was paused between its last look at the pointer and its write
        conflicts from here on.
        """
        found = self.pointer()
        if found is not None and found[0].fencing < fencing:
            self.point(found[0].model_copy(update={"fencing": fencing}), expected=found[1])

    def unfinished(self) -> Generation | None:
        """Return the newest generation whose build or cut-over was interrupted."""
        newest = self.all()[-1:]
        return next((g for g in newest if g.state in {State.BUILDING, State.READY}), None)

    def reconcile(self, now: datetime) -> list[Generation]:
        """Make the states tell what the pointer says, and end a hold that is over.

        Returns every generation as it then is, oldest first.
        """
        generations = self.all()
        found = self.pointer()
        if found is None:
            return generations
        pointer = found[0]
        held = pointer.previous if _holds(pointer, now) else None
        return [self._settle(each, pointer.generation, held) for each in generations]

    def retained(self) -> Generation | None:
        """Return the generation that a revert would bring back, as its record says."""
        return next((g for g in self.all() if g.state is State.RETAINED), None)

    def held_slot(self) -> Generation | None:
        """Return the retained generation, if it needs a slot of its own to come back.

        One that shares the vectors of what is live needs none: nothing has to wait for its hold.
        """
        held, live = self.retained(), self.live()
        return None if held is None or live is None or held.vectors == live.vectors else held

    def give_up_way_back(self, *, now: datetime, force: bool) -> None:
        """Free the retained slot, in one write of the pointer.

        After it a revert that is under way conflicts instead of pointing at a slot that
        is about to be overwritten. Without `force` a running hold is respected. Where both
        generations share their vectors no slot is held, and the way back stays.
        """
        found = self.pointer()
        if found is None or found[0].previous is None:
            return
        pointer, record = found
        if self.get(found[0].previous).vectors == self.get(pointer.generation).vectors:
            return
        if _holds(pointer, now) and not force:
            raise HoldError(
                f"generation {pointer.previous} is held until {pointer.hold_until:%Y-%m-%d %H:%M}"
                " UTC, so its slot cannot be built on; nothing changed",
                next_step="wait, or end the hold with `desireline reindex TARGET --end-hold`",
            )
        self.point(pointer.model_copy(update={"previous": None}), expected=record)
        self.reconcile(now)

    def _settle(self, generation: Generation, live: int, held: int | None) -> Generation:
        state = _settled_state(generation, live, held)
        if state is generation.state:
            return generation
        return self.change(generation, state=state)

    def _key(self, number: int) -> str:
        return f"{self.target}:{number:08d}"


def free_slot(vector: str, live: Generation | None) -> str:
    """Name the slot of a vector that the live generation does not use."""
    return f"{vector}__b" if live is not None and live.slot == f"{vector}__a" else f"{vector}__a"


def _settled_state(generation: Generation, live: int, held: int | None) -> State:
    if generation.number == live:
        return State.LIVE
    if generation.number == held:
        return State.RETAINED
    if generation.state in {State.LIVE, State.RETAINED}:
        return State.RETIRED
    return generation.state


def _holds(pointer: Pointer, now: datetime) -> bool:
    return (
        pointer.previous is not None and pointer.hold_until is not None and now < pointer.hold_until
    )


def _body(model: BaseModel) -> Mapping[str, Any]:
    return model.model_dump(mode="json")


def _read(model: type[_Model], record: Record) -> _Model:
    try:
        return model.model_validate(dict(record.body))
    except ValidationError as error:
        raise SidecarError(
            f"the {record.kind} record {record.key!r} in the state store is not one of ours:"
            f" {error.error_count()} wrong fields; it was not used"
        ) from error
