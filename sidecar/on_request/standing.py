"""Where a target stands: its pointer, its generations, its last cycle."""

from typing import Any

from desireline.sidecar.generations import Generation, State
from desireline.sidecar.lease import LEASE
from desireline.sidecar.reports.answer_changes import kept_changes
from desireline.sidecar.reports.cycle_progress import kept_progress
from desireline.sidecar.reports.cycle_report import newest_cycles
from desireline.sidecar.steering.run_status import beat_of
from desireline.sidecar.target import Target

_TOLD = {
    "number",
    "state",
    "way",
    "index",
    "slot",
    "vectors_of",
    "fingerprint",
    "parent",
    "created_at",
    "cycle",
    "reason",
}
_COUNTED = {State.LIVE, State.RETAINED, State.READY, State.BUILDING}


def standing(target: Target) -> dict[str, Any]:
    """Return where the target stands, in plain values."""
    found = target.generations.pointer()
    pointer = None if found is None else found[0].model_dump(mode="json")
    last = last_cycle(target)
    return {
        "target": target.name,
        "index": target.config.index,
        "pointer": pointer,
        "schedule": target.config.tune.schedule,
        "last_cycle": last and {k: last[k] for k in ("cycle", "outcome", "reason")},
    }


def last_cycle(target: Target) -> dict[str, Any] | None:
    """Return the report of the last cycle, with its examples of changes.

    One that runs has progress, too (as `kept_progress` has it), and beat, which changes while its
    owner lives; None: nobody owns the target, so it has ended without saying so.
    """
    last = next(newest_cycles(target.store, target.name), None)
    if last is None:
        return None
    found = {**last.to_json(), "changes": kept_changes(target.store, target.name, last.cycle)}
    if last.running:
        found["progress"] = kept_progress(target.store, target.name, last.cycle)
        lease = target.store.get(LEASE, target.name)
        found["beat"] = lease and beat_of(lease.body, int(lease.body["fencing"]))
    return found


def history(target: Target) -> list[dict[str, Any]]:
    """Return every generation, newest first, with how many documents carry it."""
    return [_told(target, generation) for generation in reversed(target.generations.all())]


def retained_generation(target: Target) -> Generation | None:
    """Return the generation that a revert would bring back."""
    return target.generations.retained()


def _told(target: Target, generation: Generation) -> dict[str, Any]:
    told: dict[str, Any] = generation.model_dump(mode="json", include=_TOLD)
    told["coverage"] = None
    if generation.state in _COUNTED:
        counted = target.engine.coverage(generation.index, generation.slot, generation.stamp_number)
        told["coverage"] = {"documents": counted.documents, "stamped": counted.stamped}
    return told
