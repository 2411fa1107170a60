"""Every named step of a re-embedding: where a hook, a status and a crash test may stand.

A run calls `reached(step)` as it passes each, before what the step's name says is built upon.
The list is exhaustive: what may be interrupted between two steps is repeated by the next run.
"""

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """A point of the run that has just been passed."""

    GENERATION_CREATED = "generation created"
    SLOT_PREPARED = "slot prepared"
    FENCE_TAKEN = "fence taken"
    INDEX_CREATED = "index created"
    BATCH_ENCODED = "batch encoded"
    BATCH_WRITTEN = "batch written"
    BACKFILL_DONE = "backfill done"
    CAUGHT_UP = "caught up"
    REPLICAS_LOADED = "replicas loaded"
    WARMED_UP = "warmed up"
    VERIFIED = "verified"
    CUT_OVER_BEGUN = "cut-over begun"
    COPY_PROVED = "copy proved"
    BLOCK_RECORDED = "block recorded"
    WRITES_BLOCKED = "writes blocked"
    LAST_WRITES_COPIED = "last writes copied"
    ALIAS_SWAPPED = "alias swapped"
    POINTER_WRITTEN = "pointer written"
    STATES_SETTLED = "states settled"
    WRITES_RELEASED = "writes released"
    INDEX_RETIRED = "index retired"


Reached = Callable[[Step], None]


def go_on(_step: Step) -> None:
    """Stop nowhere."""
