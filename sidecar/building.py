"""From an encoder in the registry to a live generation: backfill, catch-up, proof, swap."""

from collections.abc import Sequence
from datetime import timedelta

from desireline.sidecar.backfill import backfill
from desireline.sidecar.catchup import catch_up
from desireline.sidecar.cutover import CutOver, cut_over, warm_up
from desireline.sidecar.errors import BackfillError, RunCancelledError
from desireline.sidecar.generations import Generation, State, free_slot
from desireline.sidecar.hooks import HookPoint
from desireline.sidecar.lease import Lease
from desireline.sidecar.preflight import refusals
from desireline.sidecar.replicas import wait_for_replicas
from desireline.sidecar.reporting import Reporter
from desireline.sidecar.run import Run, open_run
from desireline.sidecar.serving import serve_by
from desireline.sidecar.steps import Step
from desireline.sidecar.target import Target
from desireline.sidecar.verify import verify

_POSTPONED_LOOK_S = 1.0
#: Looks between two catch-ups while the cut-over is postponed: the slot stays nearly fresh.
_LOOKS_A_CATCH_UP = 30


def put_live(
    target: Target,
    fingerprint: str,
    lease: Lease,
    reporter: Reporter,
    *,
    reason: str,
    cycle: str | None = None,
    canaries: Sequence[str] = (),
) -> CutOver:
    """Embed the live index with an encoder and swap it in.

    A generation of the same encoder that was interrupted is gone on with.

    Raises:
        BackfillError: the proof failed; the live generation is unchanged.
        RunCancelledError: the operator gave it up; the live generation is unchanged.
        CutOverRefusedError, HookRefusedError, LeaseLostError: as they say.

    """
    with open_run(target, lease, reporter) as run:
        generation = _begin(run, fingerprint, cycle)
        try:
            if generation.state is State.BUILDING:
                generation = _build(run, generation)
            generation = _wait_for_release(run, generation)
            return _swap(run, generation, reason, canaries)
        except RunCancelledError as error:
            target.generations.change(generation, state=State.CANCELLED, reason=str(error))
            raise


def _begin(run: Run, fingerprint: str, cycle: str | None) -> Generation:
    generations = run.target.generations
    unfinished = generations.unfinished()
    if unfinished is not None:
        if unfinished.fingerprint == fingerprint:
            run.reporter.step(
                "resume",
                f"generation {unfinished.number} was interrupted while {unfinished.state};"
                " going on with it",
            )
            return unfinished
        generations.change(unfinished, state=State.CANCELLED, reason="another encoder was wanted")
    generation = _create(run.target, fingerprint, cycle)
    run.reached(Step.GENERATION_CREATED)
    return generation


def _create(target: Target, fingerprint: str, cycle: str | None) -> Generation:
    encoder = target.encoders.get(fingerprint)
    live = target.generations.live()
    slot = free_slot(target.config.vector, live)
    described = target.engine.describe(target.config.index)
    refused = refusals(target, described, slot, encoder.dimension)
    if refused:
        raise BackfillError(
            f"{'; '.join(refused)}; nothing was written and what serves is unchanged",
            next_step=f"desireline reindex {target.name} --plan shows all that is needed",
        )
    return target.generations.create(
        index=described.index,
        slot=slot,
        dimension=encoder.dimension,
        similarity=encoder.similarity,
        fingerprint=fingerprint,
        parent=None if live is None else live.number,
        cycle=cycle,
        created_at=target.clock(),
    )


def _build(run: Run, generation: Generation) -> Generation:
    target = run.target
    run.call(HookPoint.BEFORE_BACKFILL, generation=str(generation.number))
    target.engine.prepare_slot(generation.index, generation.vector_slot)
    run.reached(Step.SLOT_PREPARED)
    if not generation.started_at_fence:
        fence = target.engine.fence(generation.index).to_json()
        generation = target.generations.change(generation, started_at_fence=fence)
    run.reached(Step.FENCE_TAKEN)
    writer = run.writer(generation)
    filled = run.patience().until(
        lambda: backfill(
            target.engine,
            writer,
            batch_size=target.config.swap.batch_size,
            reporter=run.reporter,
            before_batch=run.may_write,
        )
    )
    run.reporter.step(
        "backfill",
        f"slot {generation.slot}: {filled.sentence}",
        documents=filled.documents,
        encoded=filled.encoded,
        seconds=round(filled.seconds, 3),
        encoding_s=round(filled.encoding_s, 3),
    )
    run.reached(Step.BACKFILL_DONE)
    generation, refreshed = _catch_up(run, generation)
    run.reporter.step(
        "catch-up",
        f"{refreshed:,} documents had changed meanwhile and are embedded",
        refreshed=refreshed,
    )
    generation = target.generations.change(generation, state=State.READY)
    run.reached(Step.CAUGHT_UP)
    return generation


def _catch_up(run: Run, generation: Generation) -> tuple[Generation, int]:
    writer = run.writer(generation)
    caught_up = run.patience().until(
        lambda: catch_up(run.target.engine, generation.index, generation.fence, [writer])
    )
    fence = caught_up.fence.to_json()
    return run.target.generations.change(generation, caught_up=fence), caught_up.refreshed


def _wait_for_release(run: Run, generation: Generation) -> Generation:
    """Return when the cut-over is not postponed. What was proved before is proved again after."""
    looks = 0
    while reason := run.postponed():
        if not looks:
            run.reporter.step("postponed", reason)
            run.call(HookPoint.ON_POSTPONED, reason=reason)
        looks += 1
        run.sleep(_POSTPONED_LOOK_S)
        run.check()
        if looks % _LOOKS_A_CATCH_UP == 0:
            generation, _ = _catch_up(run, generation)
    return generation


def _swap(run: Run, generation: Generation, reason: str, canaries: Sequence[str]) -> CutOver:
    target = run.target
    run.reporter.step(
        "replicas",
        wait_for_replicas(
            target.store,
            target.name,
            generation.fingerprint,
            limit_s=target.config.swap.replica_wait,
        ),
    )
    run.reached(Step.REPLICAS_LOADED)
    warmed = warm_up(target.engine, serve_by(generation, target.encoders), canaries)
    run.reached(Step.WARMED_UP)
    generation = _prove(run, generation, warmed=warmed)
    run.call(HookPoint.BEFORE_CUT_OVER, generation=str(generation.number))
    generation, _ = _catch_up(run, generation)
    run.check()
    run.reached(Step.CUT_OVER_BEGUN)
    swapped = cut_over(
        target.generations,
        generation,
        lease=run.lease,
        hold=timedelta(seconds=target.config.swap.hold),
        reason=reason,
        clock=target.clock,
        reached=target.reached,
    )
    run.reporter.step("cut-over", swapped.sentence, generation=swapped.generation)
    run.call(HookPoint.AFTER_CUT_OVER, generation=str(swapped.generation))
    return swapped


def _prove(run: Run, generation: Generation, *, warmed: int) -> Generation:
    target = run.target
    writer = run.writer(generation)
    proof = run.patience().until(
        lambda: verify(target.engine, target.store, writer, generation.fence)
    )
    run.reporter.step(
        "verify",
        f"{proof.sentence}; {warmed} canary queries answered",
        documents=proof.documents,
        stamped=proof.stamped,
    )
    if not proof.passes(max_failed=target.config.swap.max_failed):
        target.generations.change(generation, state=State.FAILED, reason=proof.sentence)
        raise BackfillError(
            f"generation {generation.number} was not proved complete: {proof.sentence};"
            " the live generation is unchanged",
            next_step="mend the documents named, or allow some with swap.max_failed, and run again",
        )
    generation = target.generations.change(generation, caught_up=proof.fence.to_json())
    run.reached(Step.VERIFIED)
    return generation
