"""Slots in place: each document embedded where it lies, into the slot that does not serve."""

from datetime import timedelta

from desireline.sidecar.backfill import backfill
from desireline.sidecar.catchup import catch_up
from desireline.sidecar.cutover import CutOver, cut_over
from desireline.sidecar.generations import Generation, State, free_slot
from desireline.sidecar.run import Run
from desireline.sidecar.steering.steps import Step


def begin_slot(run: Run, fingerprint: str, *, cycle: str | None = None) -> Generation:
    """Give a number to a generation in the free slot of the live index."""
    target = run.target
    encoder = target.encoders.get(fingerprint)
    live = target.generations.live()
    generation = target.generations.create(
        index=target.engine.describe(target.config.index).index,
        slot=free_slot(target.config.vector, live),
        dimension=encoder.dimension,
        similarity=encoder.similarity,
        fingerprint=fingerprint,
        parent=None if live is None else live.number,
        cycle=cycle,
        created_at=target.clock(),
    )
    run.reached(Step.GENERATION_CREATED)
    return generation


def build_slot(run: Run, generation: Generation) -> Generation:
    """Embed every document; go on where one was interrupted."""
    target = run.target
    engine, index = target.engine, generation.index
    run.patience().until(lambda: engine.prepare_slot(index, generation.vector_slot))
    run.reached(Step.SLOT_PREPARED)
    if not generation.started_at_fence:
        fence = run.patience().until(lambda: engine.fence(index)).to_json()
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


def keep_slot_near(run: Run, generation: Generation) -> Generation:
    """Embed what was written since the last look."""
    return _catch_up(run, generation)[0]


def cut_over_slot(run: Run, generation: Generation, *, reason: str) -> CutOver:
    """Make a slot that was proved live. Raises CutOverRefusedError, LeaseLostError."""
    target = run.target
    return cut_over(
        target.generations,
        generation,
        lease=run.lease,
        hold=timedelta(seconds=target.config.swap.hold),
        reason=reason,
        clock=target.clock,
        reached=run.reached,
    )


def _catch_up(run: Run, generation: Generation) -> tuple[Generation, int]:
    writer = run.writer(generation)
    caught_up = run.patience().until(
        lambda: catch_up(run.target.engine, generation.index, generation.fence, [writer])
    )
    fence = caught_up.fence.to_json()
    return run.target.generations.change(generation, caught_up=fence), caught_up.refreshed
