"""The live encoder's int8 form: made, judged on held-out clicks, and only then served.

It encodes about twice as fast on a CPU and ranks a little differently. First its vectors and its
answers must be near those of what it was made from (`gate.int8_cosine`, `gate.int8_overlap`). It
cannot be better than that, so the gate asks of it what it asks of no other candidate: that it is
not worse by more than `gate.cheaper_tolerance`, and breaks nothing.
"""

from collections.abc import Sequence

from desireline.connectors.errors import DesirelineError
from desireline.sidecar.building import put_live, take_over
from desireline.sidecar.errors import NoGenerationError
from desireline.sidecar.generations import Generation
from desireline.sidecar.judging.evidence import Contest, judge_candidate
from desireline.sidecar.learning.from_clicks import (
    held_out_truth,
    pull_sessions,
    split_sessions,
    too_few_clicks,
)
from desireline.sidecar.lease import Lease
from desireline.sidecar.on_request.int8_parity import int8_parity
from desireline.sidecar.reports.cycle_report import CycleReport, Diary, Outcome
from desireline.sidecar.reports.reporting import Reporter
from desireline.sidecar.target import Target
from desireline.trainer.jobs import QuantiseJob


def quantise(target: Target, reporter: Reporter, *, end_hold: bool) -> CycleReport:
    """Make the int8 form of the live encoder, judge it, and put it live if it passes.

    Raises:
        NoGenerationError: nothing serves yet.
        HoldError: the slot that is needed is held for a revert.
        LeaseHeldError: another process is at it; nothing was done.

    """
    with target.owned() as lease:
        diary = Diary(target.store, target.name, reporter, target.clock)
        try:
            return _quantise(target, lease, diary, end_hold=end_hold)
        except DesirelineError as error:
            diary.fail(error)
            raise


def _quantise(target: Target, lease: Lease, diary: Diary, *, end_hold: bool) -> CycleReport:
    take_over(target, lease, diary)
    live = _live(target)
    if is_int8(target, live.fingerprint):
        return diary.end(Outcome.NOTHING_TO_DO, "the live encoder is an int8 form already")
    sessions = pull_sessions(target)
    diary.step("logs", sessions.health.sentence)
    if too_few := too_few_clicks(target, sessions, purpose="judge by"):
        return diary.end(Outcome.NOTHING_TO_DO, f"{too_few}, and nothing serves unjudged")
    target.generations.give_up_way_back(now=target.clock(), force=end_hold)
    candidate = _made(target, live, diary)
    split = split_sessions(target, sessions, diary)
    contest = Contest(candidate=candidate, incumbent=live.fingerprint, base=live.fingerprint)
    truth = held_out_truth(target, split)
    if refusal := _far_from(target, live, candidate, truth.queries, diary):
        return diary.end(Outcome.KEPT_INCUMBENT, refusal)
    verdict = judge_candidate(target, contest, truth, diary, gate=target.config.gate.for_cheaper)
    if not verdict.promote:
        return diary.end(Outcome.KEPT_INCUMBENT, verdict.reason)
    swapped = put_live(
        target,
        candidate,
        lease,
        diary,
        reason=verdict.reason,
        cycle=diary.cycle,
        canaries=truth.queries,
    )
    return diary.end(
        Outcome.WENT_LIVE,
        f"{swapped.sentence}: {verdict.reason}",
        generation=swapped.generation,
    )


def _live(target: Target) -> Generation:
    live = target.generations.live()
    if live is None:
        raise NoGenerationError(
            f"target {target.name!r} has no live generation whose encoder could be quantised",
            next_step=f"desireline reindex {target.name} builds the first one",
        )
    return live


def _made(target: Target, live: Generation, diary: Diary) -> str:
    made = target.registry.int8_of(live.fingerprint)
    if made is None:
        job = QuantiseJob(fingerprint=live.fingerprint, registry=target.registry.root)
        made = str(target.worker.run(job, diary)["fingerprint"])
    diary.step("quantise", f"int8 encoder {made[:12]} of {live.fingerprint[:12]}", candidate=made)
    return made


def _far_from(
    target: Target, live: Generation, candidate: str, queries: Sequence[str], diary: Diary
) -> str:
    """Say why an int8 form is too far from the live encoder; empty where it is near enough."""
    parity = int8_parity(target, live.fingerprint, candidate, queries)
    if parity is None:
        return ""  # the gate refuses what it cannot judge
    diary.step("parity", parity.sentence, cosine=parity.cosine, overlap=parity.overlap)
    gate = target.config.gate
    wrong = parity.falls_short(cosine=gate.int8_cosine, overlap=gate.int8_overlap)
    return f"the int8 form is too far from what it was made from: {wrong}" if wrong else ""


def is_int8(target: Target, fingerprint: str) -> bool:
    """Say whether an encoder is an int8 form, which serves only after the gate."""
    return bool(target.registry.get(fingerprint).provenance.precision == "int8")


def unjudged(target: Target, fingerprint: str) -> tuple[str, ...]:
    """Say why an encoder may not be put live by hand; empty when it may."""
    live = target.generations.live()
    served = {live.fingerprint, target.registry.get(live.fingerprint).space} if live else set()
    asked = {fingerprint, target.registry.get(fingerprint).space}
    rough = sorted(name for name in asked - served if is_int8(target, name))
    if not rough:
        return ()
    return (
        f"encoder {rough[0][:12]} is an int8 form, which ranks differently from what it was made"
        f" from and serves only after the gate: desireline quantise {target.name}",
    )
