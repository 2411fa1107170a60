"""One turn of the wheel, top to bottom: clicks in, and if that helped, a better field out."""

from collections.abc import Sequence

from desireline.connectors.errors import DesirelineError
from desireline.sidecar.building import put_live, take_over
from desireline.sidecar.erasing import retraining
from desireline.sidecar.generations import Generation
from desireline.sidecar.intent.training import learn_intent
from desireline.sidecar.ladder import Hopefuls, find_candidate
from desireline.sidecar.learning.documents_alone import Teaching, learn_from_documents
from desireline.sidecar.learning.from_clicks import (
    held_out_truth,
    mine_pairs,
    pull_sessions,
    split_sessions,
    too_few_clicks,
    trusted_sessions,
)
from desireline.sidecar.lease import Lease
from desireline.sidecar.models.base_encoder import registered, resolve
from desireline.sidecar.reports.cycle_report import CycleReport, Diary, Outcome, mark_interrupted
from desireline.sidecar.reports.reporting import Reporter
from desireline.sidecar.target import Target
from desireline.sidecar.training import Start
from desireline.trainer.gate import GateConfig
from desireline.trainer.query_vectors import RememberingEncoder
from desireline.trainer.sessions import Sessions, to_sessions


def run_cycle(target: Target, reporter: Reporter) -> CycleReport:
    """Turn the wheel once and keep its story, however it ends.

    Raises:
        LeaseHeldError: another process is at it; nothing was done.
        DesirelineError: a step failed; the report says which, what serves is unchanged.
        KeyboardInterrupt: the user stopped it; the next cycle resumes.

    """
    with target.owned() as lease:
        mark_interrupted(target.store, target.name)
        diary = Diary(target.store, target.name, reporter, target.clock)
        if target.config.note:
            diary.step("note", target.config.note)
        try:
            take_over(target, lease, diary)
            return _turn(target, lease, diary)
        except DesirelineError as error:
            diary.fail(error)
            raise
        except KeyboardInterrupt:
            diary.end(Outcome.INTERRUPTED, "stopped by the user; the next cycle resumes")
            raise


def _turn(target: Target, lease: Lease, diary: Diary) -> CycleReport:
    unfinished = target.generations.unfinished()
    if unfinished is not None:
        return _go_live(
            target, unfinished.fingerprint, lease, diary, reason="an interrupted build went on"
        )
    live = target.generations.live() or _first_generation(target, lease, diary)
    obstacle = _no_free_slot(target)
    if obstacle:
        return diary.end(Outcome.NOTHING_TO_DO, obstacle)
    sessions = _sessions(target, diary)
    obstacle = _nobody_to_learn_from(target, sessions, live.fingerprint)
    if obstacle:
        return diary.end(Outcome.NOTHING_TO_DO, obstacle)
    teaching = _teaching(target, sessions, live.fingerprint, diary)
    obstacle = _too_few_pairs(target, teaching)
    if obstacle:
        return diary.end(Outcome.NOTHING_TO_DO, obstacle)
    best = find_candidate(target, teaching, _hopefuls(target, live.fingerprint, diary), diary)
    serves = best.candidate if best.promote else live.fingerprint
    learn_intent(target, teaching, serves, live.fingerprint, diary)
    if not best.promote:
        return diary.end(Outcome.KEPT_INCUMBENT, best.reason)
    canaries = teaching.truth.queries
    return _go_live(target, best.candidate, lease, diary, reason=best.reason, canaries=canaries)


def _first_generation(target: Target, lease: Lease, diary: Diary) -> Generation:
    """Begin with the base encoder: there is nothing yet that a gate could compare it with."""
    base = resolve(target, target.config.model, diary)
    put_live(target, base, lease, diary, reason="the first generation", cycle=diary.cycle)
    live = target.generations.live()
    assert live is not None
    return live


def _no_free_slot(target: Target) -> str:
    held = target.generations.held_slot()
    if held is None:
        return ""
    return f"generation {held.number} is held for a revert in a slot of its own"


def _sessions(target: Target, diary: Diary) -> Sessions:
    """Read the click log and tell how good it is; where documents may teach it may be missing."""
    alone = target.log_source is None and target.config.tune.without_clicks
    sessions = to_sessions(()) if alone else pull_sessions(target)
    diary.step("logs", sessions.health.sentence)
    if too_few_clicks(target, sessions):
        # Who is doubted is told where the log is too small to be split, too.
        trusted_sessions(target, sessions, diary)
    return sessions


def _nobody_to_learn_from(target: Target, sessions: Sessions, incumbent: str) -> str:
    """Say why there is too little to learn from; empty where there is enough.

    Documents alone may replace the base encoder, never one that learned from people.
    """
    too_few = too_few_clicks(target, sessions)
    if not too_few:
        return ""
    if not target.config.tune.without_clicks:
        return f"{too_few}; with tune.without_clicks = true documents alone would teach"
    if incumbent != registered(target, target.config.model):
        return f"{too_few}, and the encoder that serves has learned already"
    return ""


def _teaching(target: Target, sessions: Sessions, incumbent: str, diary: Diary) -> Teaching:
    if too_few_clicks(target, sessions):
        return learn_from_documents(target, incumbent, diary)
    split = split_sessions(target, sessions, diary)
    encoder = RememberingEncoder(target.encoder(incumbent))
    pairs = mine_pairs(target, split.train, encoder, diary)
    return Teaching(
        pairs=pairs,
        truth=held_out_truth(target, split),
        sessions=sessions,
        queries=encoder.remembered([pair.anchor for pair in pairs.pairs]),
    )


def _too_few_pairs(target: Target, teaching: Teaching) -> str:
    found, needed = len(teaching.pairs.pairs), target.config.tune.min_pairs
    return "" if found >= needed else f"too few pairs to train on, {found} of {needed} needed"


def _hopefuls(target: Target, incumbent: str, diary: Diary) -> Hopefuls:
    base = resolve(target, target.config.model, diary)
    return Hopefuls(
        start=Start.of(target, base=base, incumbent=incumbent),
        incumbent=incumbent,
        gate=_gate(target, diary),
    )


def _gate(target: Target, diary: Diary) -> GateConfig | None:
    """Ask less of a candidate where what serves learned from what was erased."""
    retrain = retraining.due(target)
    if retrain is None or not retrain.models:
        return None
    diary.step("retrain", retrain.sentence, models=len(retrain.models))
    return target.config.gate.for_cheaper


def _go_live(
    target: Target,
    fingerprint: str,
    lease: Lease,
    diary: Diary,
    *,
    reason: str,
    canaries: Sequence[str] = (),
) -> CycleReport:
    swapped = put_live(
        target, fingerprint, lease, diary, reason=reason, cycle=diary.cycle, canaries=canaries
    )
    return diary.end(
        Outcome.WENT_LIVE, f"{swapped.sentence}: {reason}", generation=swapped.generation
    )
