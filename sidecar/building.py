"""From an encoder in the registry to a live generation: backfill, catch-up, proof, swap."""

from collections.abc import Sequence
from datetime import timedelta

from desireline.sidecar.backfill import backfill
from desireline.sidecar.catchup import catch_up
from desireline.sidecar.cutover import CutOver, cut_over, warm_up
from desireline.sidecar.errors import BackfillError
from desireline.sidecar.generations import Generation, State, free_slot
from desireline.sidecar.lease import Lease
from desireline.sidecar.preflight import refusals
from desireline.sidecar.replicas import wait_for_replicas
from desireline.sidecar.reporting import Reporter
from desireline.sidecar.serving import serve_by
from desireline.sidecar.target import Target
from desireline.sidecar.verify import verify


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
        CutOverRefusedError, LeaseLostError: as they say.

    """
    generation = _begin(target, fingerprint, reporter, cycle)
    if generation.state is State.BUILDING:
        generation = _build(target, generation, lease, reporter)
    reporter.step(
        "replicas",
        wait_for_replicas(
            target.store, target.name, fingerprint, limit_s=target.config.swap.replica_wait
        ),
    )
    warmed = warm_up(target.engine, serve_by(generation, target.encoders), canaries)
    _prove(target, generation, lease, reporter, warmed=warmed)
    swapped = cut_over(
        target.generations,
        generation,
        lease=lease,
        hold=timedelta(seconds=target.config.swap.hold),
        reason=reason,
        clock=target.clock,
    )
    reporter.step("cut-over", swapped.sentence, generation=swapped.generation)
    return swapped


def _begin(target: Target, fingerprint: str, reporter: Reporter, cycle: str | None) -> Generation:
    unfinished = target.generations.unfinished()
    if unfinished is not None:
        if unfinished.fingerprint == fingerprint:
            reporter.step(
                "resume",
                f"generation {unfinished.number} was interrupted while {unfinished.state};"
                " going on with it",
            )
            return unfinished
        target.generations.change(
            unfinished, state=State.CANCELLED, reason="another encoder was wanted"
        )
    return _create(target, fingerprint, cycle)


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


def _build(target: Target, generation: Generation, lease: Lease, reporter: Reporter) -> Generation:
    target.engine.prepare_slot(generation.index, generation.vector_slot)
    if not generation.started_at_fence:
        fence = target.engine.fence(generation.index).to_json()
        generation = target.generations.change(generation, started_at_fence=fence)
    writer = target.writer_for(generation, lease)
    filled = backfill(
        target.engine, writer, batch_size=target.config.swap.batch_size, reporter=reporter
    )
    reporter.step(
        "backfill",
        f"slot {generation.slot}: {filled.sentence}",
        documents=filled.documents,
        encoded=filled.encoded,
        seconds=round(filled.seconds, 3),
        encoding_s=round(filled.encoding_s, 3),
    )
    caught_up = catch_up(target.engine, generation.index, generation.fence, [writer])
    reporter.step(
        "catch-up",
        f"{caught_up.refreshed:,} documents had changed meanwhile and are embedded",
        refreshed=caught_up.refreshed,
    )
    return target.generations.change(
        generation, state=State.READY, caught_up=caught_up.fence.to_json()
    )


def _prove(
    target: Target, generation: Generation, lease: Lease, reporter: Reporter, *, warmed: int
) -> None:
    writer = target.writer_for(generation, lease)
    proof = verify(target.engine, target.store, writer, generation.fence)
    reporter.step(
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
    target.generations.change(generation, caught_up=proof.fence.to_json())
