"""Embedding a target's index again because an operator wants it: planned, run, taken back."""

from dataclasses import replace

from desireline.connectors.errors import DesirelineError
from desireline.sidecar.building import put_back, put_live, take_over
from desireline.sidecar.cutover import CutOver, revert, way_back
from desireline.sidecar.errors import BackfillError, EncoderUnknownError, LeaseHeldError
from desireline.sidecar.lease import Lease, last_owner
from desireline.sidecar.models.base_encoder import registered, resolve
from desireline.sidecar.on_request.persistence import persistently
from desireline.sidecar.on_request.plan import ReindexPlan, draft
from desireline.sidecar.on_request.quantising import unjudged
from desireline.sidecar.reports.cycle_report import CycleReport, Diary, Outcome
from desireline.sidecar.reports.reporting import LogReporter, Reporter
from desireline.sidecar.target import Target
from desireline.sidecar.ways.choice import Wanted
from desireline.sidecar.ways.index_recovery import is_left_over

_REASON = "the operator asked for it"


def plan(target: Target, model: str | None, *, way: Wanted, end_hold: bool) -> ReindexPlan:
    """Say what `reindex` would do; changes nothing."""
    live = target.generations.live()
    source = model or target.config.model
    fingerprint, encoder = (
        (live.fingerprint, "the live encoder")
        if model is None and live is not None
        else (registered(target, source), source)
    )
    drafted = draft(target, fingerprint, encoder=encoder, way=way, end_hold=end_hold)
    refused = unjudged(target, fingerprint) if fingerprint else ()
    return replace(drafted, refusals=(*drafted.refusals, *refused))


def require_feasible(target: Target, model: str | None, *, way: Wanted, end_hold: bool) -> None:
    """Raise BackfillError or EncoderUnknownError where `reindex` would be refused."""
    if model not in {None, target.config.model} and registered(target, str(model)) is None:
        raise EncoderUnknownError(
            f"no encoder {str(model)[:80]!r} is registered; nothing was begun",
            next_step=f"desireline reindex {target.name} --model … imports one first",
        )
    refused = plan(target, model, way=way, end_hold=end_hold).refusals
    if refused:
        raise BackfillError(
            f"{'; '.join(refused)}; nothing was begun and what serves is unchanged",
            next_step=f"desireline reindex {target.name} --plan shows all that is needed",
        )


def reindex(
    target: Target, model: str | None, reporter: Reporter, *, way: Wanted, end_hold: bool
) -> CycleReport:
    """Embed every document again and put the result live, without asking the gate."""

    def attempt() -> CycleReport:
        with target.owned() as lease:
            diary = Diary(target.store, target.name, reporter, target.clock)
            try:
                return _reindex(target, model, lease, diary, way=way, end_hold=end_hold)
            except DesirelineError as error:
                diary.fail(error)
                raise

    return persistently(
        attempt,
        last_owner=lambda: last_owner(target.store, target.name),
        limit_s=target.config.swap.patience,
    )


def _reindex(
    target: Target, model: str | None, lease: Lease, diary: Diary, *, way: Wanted, end_hold: bool
) -> CycleReport:
    finished = take_over(target, lease, diary)
    if finished is not None:
        return diary.end(
            Outcome.WENT_LIVE,
            f"an interrupted cut-over was finished: generation {finished.number} is live",
            generation=finished.number,
        )
    target.generations.give_up_way_back(now=target.clock(), force=end_hold)
    live = target.generations.live()
    fingerprint = (
        live.fingerprint
        if model is None and live is not None
        else resolve(target, model or target.config.model, diary)
    )
    refused = unjudged(target, fingerprint)
    if refused:
        raise BackfillError(f"{refused[0]}; nothing was written and what serves is unchanged")
    swapped = put_live(
        target, fingerprint, lease, diary, reason=_REASON, way=way, cycle=diary.cycle
    )
    return diary.end(Outcome.WENT_LIVE, swapped.sentence, generation=swapped.generation)


def swap_back(target: Target) -> CutOver:
    """Bring the retained generation back.

    A slot needs one write of the pointer; another index is brought up to date first.

    Raises:
        RevertRefusedError, CutOverRefusedError, LeaseHeldError: what serves is unchanged.

    """
    pointer, _ = way_back(target.generations, target.clock())
    assert pointer.previous is not None, "way_back sees to it"
    live = target.generations.get(pointer.generation)
    former = target.generations.get(pointer.previous)
    if former.index == live.index:
        return revert(target.generations, reason=_REASON, clock=target.clock)
    with target.owned() as lease:
        take_over(target, lease, LogReporter())
        return put_back(target, lease, LogReporter(), reason=_REASON)


def tidy(target: Target) -> None:
    """Finish or undo what a killed run left of a write block, and end a hold that is over.

    Does nothing where there is no such thing, or while another process is at it.
    """
    if not is_left_over(target):
        return
    try:
        with target.owned() as lease:
            take_over(target, lease, LogReporter())
    except LeaseHeldError:
        return
