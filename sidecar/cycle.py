"""One turn of the wheel, top to bottom: clicks in, and if that helped, a better field out."""

from collections.abc import Sequence

from desireline.connectors.errors import DesirelineError
from desireline.sidecar import retraining
from desireline.sidecar.base_encoder import registered, resolve
from desireline.sidecar.building import put_live, take_over
from desireline.sidecar.cycle_report import CycleReport, Diary, Outcome, mark_interrupted
from desireline.sidecar.documents_alone import Teaching, learn_from_documents
from desireline.sidecar.generations import Generation
from desireline.sidecar.intent_training import learn_intent
from desireline.sidecar.ladder import Hopefuls, find_candidate
from desireline.sidecar.learning import (
    held_out_truth,
    mine_pairs,
    pull_sessions,
    split_sessions,
    trusted_sessions,
)
from desireline.sidecar.lease import Lease
from desireline.sidecar.reporting import Reporter
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
    held = target.generations.held_slot()
    if held is not None:
        return diary.end(
            Outcome.NOTHING_TO_DO,
            f"generation {held.number} is held for a revert in a slot of its own",
        )
    sessions = _sessions(target)
    diary.step("logs", sessions.health.sentence)
    refusal = _too_few_clicks(target, sessions, live.fingerprint)
    if refusal:
        trusted_sessions(target, sessions, diary)
        return diary.end(Outcome.NOTHING_TO_DO, refusal)
    teaching = _teaching(target, sessions, live.fingerprint, diary)
    found, needed = len(teaching.pairs.pairs), target.config.tune.min_pairs
    if found < needed:
        return diary.end(
            Outcome.NOTHING_TO_DO, f"{found} pairs are too few to train on; {needed} are needed"
        )
    base = resolve(target, target.config.model, diary)
    hopefuls = Hopefuls(
        start=Start.of(target, base=base, incumbent=live.fingerprint),
        incumbent=live.fingerprint,
        gate=_gate(target, diary),
    )
    best = find_candidate(target, teaching, hopefuls, diary)
    serves = best.candidate if best.promote else live.fingerprint
    learn_intent(target, teaching, serves, live.fingerprint, diary)
    if not best.promote:
        return diary.end(Outcome.KEPT_INCUMBENT, best.reason)
    canaries = teaching.truth.queries[:10]
    return _go_live(target, best.candidate, lease, diary, reason=best.reason, canaries=canaries)


def _sessions(target: Target) -> Sessions:
    """Read the click log; where documents alone may teach there need not be one."""
    if target.log_source is None and target.config.tune.without_clicks:
        return to_sessions(())
    return pull_sessions(target)


def _too_few_clicks(target: Target, sessions: Sessions, incumbent: str) -> str:
    """Say why there is too little to learn from; empty where there is enough.

    Documents alone may replace the base encoder, never one that learned from people.
    """
    tune, clicks = target.config.tune, sessions.health.clicks
    if clicks >= tune.min_clicks:
        return ""
    too_few = f"{clicks} clicks are too few to learn from; {tune.min_clicks} are needed"
    if not tune.without_clicks:
        return f"{too_few}, or tune.without_clicks = true, to learn from documents alone"
    if incumbent != registered(target, target.config.model):
        return f"{too_few}, for the encoder that serves has learned already"
    return ""


def _teaching(target: Target, sessions: Sessions, incumbent: str, diary: Diary) -> Teaching:
    if sessions.health.clicks < target.config.tune.min_clicks:
        trusted_sessions(target, sessions, diary)
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


def _gate(target: Target, diary: Diary) -> GateConfig | None:
    """Ask less of a candidate where what serves learned from what was erased."""
    retrain = retraining.due(target)
    if retrain is None or not retrain.models:
        return None
    diary.step("retrain", retrain.sentence, models=len(retrain.models))
    return target.config.gate.for_cheaper


def _first_generation(target: Target, lease: Lease, diary: Diary) -> Generation:
    """Begin with the base encoder: there is nothing yet that a gate could compare it with."""
    base = resolve(target, target.config.model, diary)
    put_live(target, base, lease, diary, reason="the first generation", cycle=diary.cycle)
    live = target.generations.live()
    assert live is not None
    return live


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
