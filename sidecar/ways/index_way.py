"""A new index behind the alias: copied, proved, swapped in; and the way back to the old one.

The old index is kept as it was until the hold ends. To go back to it, it is brought up to date from
the new one first, by the same copying, and the alias moves back by the same swap.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from desireline.connectors.errors import IndexMissingError
from desireline.connectors.generation_indexes import GenerationIndexes, IndexLabel, Versions
from desireline.connectors.search_engine import Slot
from desireline.sidecar.catchup import catch_up
from desireline.sidecar.cutover import CutOver, cut_over, revert, way_back
from desireline.sidecar.errors import (
    BackfillError,
    CutOverRefusedError,
    PauseTooLongError,
    RevertRefusedError,
)
from desireline.sidecar.generations import Generation, State
from desireline.sidecar.run import Run
from desireline.sidecar.steering.steps import Step
from desireline.sidecar.target import Target
from desireline.sidecar.ways.alias_swap import AliasSwap, Swapped
from desireline.sidecar.ways.choice import index_refusals, overrides_of
from desireline.sidecar.ways.copy_proof import CopyProof
from desireline.sidecar.ways.copying import Copier
from desireline.sidecar.ways.index_copies import alias_swap, copier, copying_engine, prover
from desireline.sidecar.ways.write_block import Purpose, WriteBlock, WriteBlocks
from desireline.sidecar.writing.patience import PASSING

#: Rounds of catch-up before writes are held up: each is shorter than the one before it.
_CATCH_UP_ROUNDS = 10
#: Documents that may be left for the time in which writes are held up.
_FEW = 50
_LONGEST_PAUSE_S = 64.0


def begin_index(run: Run, fingerprint: str, *, cycle: str | None = None) -> Generation:
    """Give a number to a generation that will have an index of its own.

    Raises:
        BackfillError: the target is no alias, or its index cannot be copied as it is.

    """
    target = run.target
    state = copying_engine(target).alias_state(target.config.index)
    refused = index_refusals(target)
    if refused:
        raise BackfillError(
            f"{'; '.join(refused)}; nothing was written and what serves is unchanged",
            next_step=f"desireline reindex {target.name} --plan shows all that is needed",
        )
    encoder = target.encoders.get(fingerprint)
    live = target.generations.live()
    generation = target.generations.create(
        index=state.index,
        slot=f"{target.config.vector}__a",
        dimension=encoder.dimension,
        similarity=encoder.similarity,
        fingerprint=fingerprint,
        parent=None if live is None else live.number,
        cycle=cycle,
        created_at=target.clock(),
        way="index",
        copied_from=state.index,
    )
    run.reached(Step.GENERATION_CREATED)
    return _named(target, generation)


def _named(target: Target, generation: Generation) -> Generation:
    """Name the index after the number, which is known only now."""
    if generation.index != generation.copied_from:
        return generation
    name = f"{target.config.index}-gen-{generation.number}"
    return target.generations.change(generation, index=name)


def build_index(run: Run, generation: Generation) -> Generation:
    """Create the index and copy every document with its vector; go on where one was interrupted.

    Raises:
        MappingConflictError: an index of that name exists and is not this one.
        BackfillError: a document does not fit into the new index.

    """
    generation = _named(run.target, generation)
    _create(run, generation)
    run.reached(Step.INDEX_CREATED)
    copies = copier(run, generation)
    total = copies.engine.count(copies.source)

    def told(copied: int) -> None:
        run.reporter.progress("copy", copied, max(total, copied), index=generation.index)

    run.patience().until(lambda: copies.catch_up(told))
    run.reporter.step(
        "copy",
        f"index {generation.index}: {copies.documents:,} documents ({copies.encoded:,} encoded)",
        documents=copies.documents,
        encoded=copies.encoded,
    )
    run.reached(Step.BACKFILL_DONE)
    _bring_near(run, copies)
    position = copies.engine.fence(generation.index).to_json()
    ready = run.target.generations.change(generation, state=State.READY, caught_up=position)
    run.reached(Step.CAUGHT_UP)
    return ready


def _create(run: Run, generation: Generation) -> None:
    target, source = run.target, generation.copied_from
    engine = copying_engine(target)
    assert source is not None, "a generation of its own index names what it is copied from"
    label = IndexLabel(
        target=target.name,
        generation=generation.number,
        copied_from=source,
        versions=_versions(target, engine, generation, source),
    )
    slot = Slot(
        name=generation.slot, dimension=generation.dimension, similarity=generation.similarity
    )
    engine.create_generation_index(source, generation.index, slot, label, overrides_of(target))


def _versions(
    target: Target, engine: GenerationIndexes, generation: Generation, source: str
) -> Versions:
    """Say who numbers the documents; what a copy was begun with holds to its end."""
    wanted = target.config.swap.versions
    with suppress(IndexMissingError):
        begun = engine.label(generation.index)
        if begun is not None and begun.generation == generation.number:
            return begun.versions
    return engine.versions_of(source) if wanted == "auto" else wanted


def _bring_near(run: Run, copies: Copier) -> None:
    """Catch up until little is left, and delete what is gone."""
    for _ in range(_CATCH_UP_ROUNDS):
        if run.patience().until(copies.catch_up) <= _FEW:
            break
    run.patience().until(copies.remove_deleted)


def keep_index_near(run: Run, generation: Generation) -> Generation:
    """Copy what was written since the last look, and delete what is gone."""
    _bring_near(run, copier(run, generation))
    return run.target.generations.get(generation.number)


def cut_over_index(run: Run, generation: Generation, *, reason: str) -> CutOver:
    """Swap the new index in behind the alias and make the generation live.

    Raises:
        BackfillError: the copy is not the same as its source; the generation has failed.
        CutOverRefusedError: it could not be swapped within the pause allowed.
        StateConflictError: the alias was moved by somebody else; nothing was swapped.

    """
    target = run.target
    run.lease.check()
    if target.generations.get(generation.number).state is not State.READY:
        raise CutOverRefusedError(
            f"generation {generation.number} is not ready; the live generation is unchanged"
        )
    copies = copier(run, generation)
    swap, swapped = _swap(run, copies, reason, on_difference=_fail)
    pointed = cut_over(
        target.generations,
        generation,
        lease=run.lease,
        hold=timedelta(seconds=target.config.swap.hold),
        reason=reason,
        clock=target.clock,
        reached=run.reached,
    )
    swap.hold()
    copies.engine.end_of_build(generation.index)
    return replace(pointed, pause_s=swapped.pause_s)


def _swap(
    run: Run,
    copies: Copier,
    reason: str,
    on_difference: Callable[[Run, Copier, CopyProof], None],
) -> tuple[AliasSwap, Swapped]:
    """Prove the copy, then try to swap until it succeeds within the pause."""
    proof_by = prover(run, copies)
    proof = run.patience().until(proof_by.prove)
    run.reporter.step("compare", proof.sentence, documents=proof.documents)
    if not proof.passes:
        on_difference(run, copies, proof)
    run.reached(Step.COPY_PROVED)
    swap = alias_swap(run, copies, proof_by, reason=reason)
    tries = run.target.config.swap.cut_over_tries
    for number in range(1, tries + 1):
        swapped = _attempt(run, swap, number, proof, last=number == tries)
        if swapped is not None:
            return swap, swapped
        _bring_near(run, copies)
    raise AssertionError("the last try returns or raises")


def _attempt(
    run: Run, swap: AliasSwap, number: int, proof: CopyProof, *, last: bool
) -> Swapped | None:
    try:
        return swap.attempt(number, proof)
    except (PauseTooLongError, *PASSING) as error:
        run.reporter.step("cut-over", f"try {number}: {error}")
        if last:
            raise CutOverRefusedError(
                f"the alias could not be swapped in {number} tries, the last time because"
                f" {error}; writes are let in and what serves is unchanged",
                next_step="raise swap.write_pause, or run again at a quieter time: it resumes",
            ) from error
    run.sleep(min(2.0 ** (number - 1), _LONGEST_PAUSE_S))
    run.check()
    return None


def _fail(run: Run, copies: Copier, proof: CopyProof) -> None:
    number = copies.generation.number
    run.lease.check()
    run.target.generations.change(copies.generation, state=State.FAILED, reason=proof.sentence)
    raise BackfillError(
        f"generation {number} was not proved to be a copy: {proof.sentence}; the live generation"
        " is unchanged",
        next_step="look at the documents named, then run again",
    )


def revert_index(run: Run, *, reason: str) -> CutOver:
    """Bring the former index up to date, let the alias name it again, and make it live.

    Raises:
        RevertRefusedError: there is nothing to go back to, or it could not be brought up to date.
        CutOverRefusedError: it could not be swapped within the pause allowed.

    """
    target = run.target
    run.lease.check()
    pointer, _ = way_back(target.generations, target.clock())
    assert pointer.previous is not None, "way_back sees to it"
    live = target.generations.get(pointer.generation)
    back = target.generations.get(pointer.previous)
    if back.copied_from != live.index:
        raise RevertRefusedError(
            f"generation {back.number} in {back.index!r} is no copy of {live.index!r}; what serves"
            " is unchanged"
        )
    blocks = WriteBlocks(target.store, target.name)
    block = _opened_for_us(run, blocks, back, live)
    try:
        _embed_the_rest(run, back)
        copies = copier(run, back)
        _bring_near(run, copies)
        swap, swapped = _swap(run, copies, reason, on_difference=_refuse_revert)
    except BaseException:
        _close_again(run, blocks, block)
        raise
    pointed = revert(target.generations, reason=reason, clock=target.clock, alias_swapped=True)
    run.reached(Step.POINTER_WRITTEN)
    swap.hold()
    blocks.remove(back.index)
    return replace(pointed, pause_s=swapped.pause_s)


def _embed_the_rest(run: Run, back: Generation) -> None:
    """Embed what the application wrote to the old index just before it was left."""
    writer = run.writer(back)
    caught_up = run.patience().until(
        lambda: catch_up(run.target.engine, back.index, back.fence, [writer])
    )
    run.target.generations.change(back, caught_up=caught_up.fence.to_json())


def _opened_for_us(run: Run, blocks: WriteBlocks, back: Generation, live: Generation) -> WriteBlock:
    """Label the old index and take its block away; nobody else writes to it any more."""
    engine = copying_engine(run.target)
    label, served = engine.label(back.index), engine.label(live.index)
    versions = served.versions if served is not None else "sequence"
    if label is None:
        mark = IndexLabel(
            target=run.target.name, generation=None, copied_from=live.index, versions=versions
        )
        engine.put_label(back.index, mark)
    block = WriteBlock(
        target=run.target.name,
        index=back.index,
        alias=run.target.config.index,
        new_index=live.index,
        generation=live.number,
        fencing=run.lease.fencing,
        purpose=Purpose.REVERT,
    )
    blocks.put(block)
    engine.unblock_writes(back.index)
    return block


def _close_again(run: Run, blocks: WriteBlocks, block: WriteBlock) -> None:
    """Put the block back unless the alias has moved; the next start does so, too."""
    engine = copying_engine(run.target)
    if engine.alias_state(block.alias).index == block.index:
        return
    engine.block_writes(block.index)
    blocks.put(block.model_copy(update={"purpose": Purpose.HOLD}))


def _refuse_revert(_run: Run, copies: Copier, proof: CopyProof) -> None:
    raise RevertRefusedError(
        f"the index {copies.generation.index!r} could not be brought up to date: {proof.sentence};"
        " what serves is unchanged",
        next_step="look at the documents named, then run again",
    )
