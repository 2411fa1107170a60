"""A model that learned from what was erased gives way to one that did not.

The request is one record a target and data folder, with digests of what was erased: only the
folder that made them can tell which models they are about. It stands until no such model serves
or may serve, whichever cycle made it and whenever.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from desireline.connectors.errors import StateConflictError
from desireline.connectors.state_store import Record
from desireline.sidecar.generations import State
from desireline.sidecar.models.intent_records import heads_of
from desireline.sidecar.reports.cycle_report import cycles
from desireline.sidecar.target import Target
from desireline.trainer.models.query_side import with_their_documents

RETRAIN = "retrain"
#: Without a schedule a cycle is begun for it, and again after this time if it did not help.
_AGAIN = timedelta(days=1)
_MAY_SERVE = {State.BUILDING, State.READY, State.LIVE, State.RETAINED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrain:
    """Why a cycle must make a new model."""

    asked_at: datetime
    tried_at: datetime | None
    #: Models in use that learned from what was erased.
    models: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Say so in one line."""
        names = ", ".join(fingerprint[:12] for fingerprint in self.models) or "a cycle under way"
        return f"what {names} learned from was erased: a model no worse takes its place"


def ask(target: Target, digests: Iterable[bytes]) -> None:
    """Put a retrain on the schedule; digests of several erasures add up."""
    found = target.store.get(RETRAIN, _key(target))
    known = set(found.body["digests"]) if found else set()
    body = {
        "asked_at": target.clock().isoformat(),
        "digests": sorted(known | {digest.hex() for digest in digests}),
        "tried_at": None,
    }
    try:
        target.store.put(RETRAIN, _key(target), body, expected=found)
    except StateConflictError:
        ask(target, digests)


def due(target: Target) -> Retrain | None:
    """Return the request that still stands; close it when nothing it is about may serve."""
    found = None if target.privacy is None else target.store.get(RETRAIN, _key(target))
    if found is None:
        return None
    request = _request(target, found.body)
    if not request.models and not cycle_under_way(target, before=request.asked_at):
        _change(target, found, None)
        return None
    return request


def sweep_notes(target: Target) -> None:
    """Forget what models learned from that are gone, and cycles that made none."""
    if target.privacy is None:
        return
    manifests = target.registry.list()
    running = {report.cycle for report in cycles(target.store, target.name) if report.running}
    heads = {f"intent-{cycle}" for cycle in running} | set(heads_of(target).list())
    named = {name for each in manifests for name in (each.fingerprint, each.provenance.cycle_id)}
    target.privacy.trained_on.sweep({*running, *heads, *filter(None, named)})


def cycle_under_way(target: Target, before: datetime | None = None) -> bool:
    """Whether a cycle runs, begun before a time, that may yet register a model."""
    return any(
        report.running and (before is None or report.started_at <= before)
        for report in cycles(target.store, target.name)
    )


def learned_from_erased(target: Target, head: str) -> bool:
    """Whether an intent head learned from what was erased while it did."""
    found = None if target.privacy is None else target.store.get(RETRAIN, _key(target))
    if found is None or target.privacy is None:
        return False
    wanted = {bytes.fromhex(digest) for digest in found.body["digests"]}
    return target.privacy.trained_on.learned(head, wanted)


def begin_now(target: Target) -> bool:
    """Say whether a cycle is to be begun for a request, and note that it is."""
    request = due(target)
    now = target.clock()
    scheduled = target.config.tune.schedule is not None
    if request is None or not request.models or scheduled or not _waited(request, now):
        return False
    found = target.store.get(RETRAIN, _key(target))
    return found is not None and _change(target, found, {**found.body, "tried_at": now.isoformat()})


def _key(target: Target) -> str:
    assert target.privacy is not None
    return f"{target.name}:{target.privacy.trained_on.keeper}"


def _waited(request: Retrain, now: datetime) -> bool:
    return request.tried_at is None or now - request.tried_at >= _AGAIN


def _request(target: Target, body: Any) -> Retrain:
    assert target.privacy is not None
    wanted = {bytes.fromhex(digest) for digest in body["digests"]}
    manifests = target.registry.list()
    learned = target.privacy.trained_on.models(manifests, wanted)
    serving = {g.fingerprint for g in target.generations.all() if g.state in _MAY_SERVE}
    in_use = with_their_documents(serving, manifests)
    tried = body["tried_at"]
    return Retrain(
        asked_at=datetime.fromisoformat(body["asked_at"]),
        tried_at=None if tried is None else datetime.fromisoformat(tried),
        models=tuple(fingerprint for fingerprint in learned if fingerprint in in_use),
    )


def _change(target: Target, record: Record, body: dict[str, Any] | None) -> bool:
    try:
        if body is None:
            target.store.delete(record)
        else:
            target.store.put(RETRAIN, record.key, body, expected=record)
    except StateConflictError:
        return False
    return True
