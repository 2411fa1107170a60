"""What a dead run left behind of an index way, finished or undone; and old indexes let go.

To be called by whoever owns the target, before anything else is done with it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from desireline.connectors.errors import IndexMissingError
from desireline.connectors.generation_indexes import GenerationIndexes
from desireline.sidecar.cutover import cut_over, revert
from desireline.sidecar.generations import Generation, State
from desireline.sidecar.lease import Lease
from desireline.sidecar.steering.steps import Step
from desireline.sidecar.target import Target
from desireline.sidecar.ways.write_block import Purpose, WriteBlock, WriteBlocks

_IN_USE = {State.BUILDING, State.READY, State.LIVE, State.RETAINED}


def recover(target: Target, lease: Lease) -> tuple[str, ...]:
    """Finish a swap whose alias has moved, undo one whose alias has not; say what was done.

    Raises:
        LeaseLostError, ConnectorError: as they say; safe to run again.

    """
    engine = target.engine
    if not isinstance(engine, GenerationIndexes):
        return ()
    blocks = WriteBlocks(target.store, target.name)
    told = [
        _recover_swap(target, lease, engine, blocks, block)
        for block in blocks.all()
        if block.purpose is Purpose.SWAP
    ]
    told += [
        _recover_revert(target, engine, blocks, block)
        for block in blocks.all()
        if block.purpose is Purpose.REVERT
    ]
    return tuple(told)


def _recover_swap(
    target: Target,
    lease: Lease,
    engine: GenerationIndexes,
    blocks: WriteBlocks,
    block: WriteBlock,
) -> str:
    lease.check()
    engine.void_tickets(block.index)
    if engine.alias_state(block.alias).index == block.new_index:
        _point(target, lease, block)
        engine.end_of_build(block.new_index)
        held = block.model_copy(update={"purpose": Purpose.HOLD, "fencing": lease.fencing})
        blocks.put(held)
        return (
            f"the alias {block.alias!r} had been swapped to {block.new_index!r} by a run that ended"
            f" before it was done; generation {block.generation} is live"
        )
    engine.unblock_writes(block.index)
    blocks.remove(block.index)
    target.reached(Step.WRITES_RELEASED)
    return (
        f"a run ended while it held up writes to {block.index!r}; they are let in again and"
        " nothing was swapped"
    )


def _point(target: Target, lease: Lease, block: WriteBlock) -> None:
    """Make the generation live that the alias names, unless it is."""
    generations = target.generations
    found = generations.pointer()
    if found is not None and found[0].generation == block.generation:
        generations.reconcile(target.clock())
        return
    if found is not None and found[0].previous == block.generation:
        revert(generations, reason=block.reason, clock=target.clock, alias_swapped=True)
        return
    # The alias moved after the proof: an owner that slept may have noted since that it gave up.
    cut_over(
        generations,
        generations.change(generations.get(block.generation), state=State.READY),
        lease=lease,
        hold=timedelta(seconds=target.config.swap.hold),
        reason=block.reason,
        clock=target.clock,
        reached=target.reached,
    )


def _recover_revert(
    target: Target, engine: GenerationIndexes, blocks: WriteBlocks, block: WriteBlock
) -> str:
    live = target.generations.live()
    if live is not None and live.index == block.index:
        blocks.remove(block.index)
        return f"the revert to {block.index!r} had been done"
    engine.block_writes(block.index)
    blocks.put(block.model_copy(update={"purpose": Purpose.HOLD}))
    return f"a revert to {block.index!r} was interrupted; the index is held as before"


def is_left_over(target: Target) -> bool:
    """Say whether a dead run left a block behind, or a hold has ended; costs two listings."""
    blocks = WriteBlocks(target.store, target.name).all()
    if not blocks:
        return False
    generations = target.generations.reconcile(target.clock())
    return any(
        block.purpose is not Purpose.HOLD or _is_over(block, generations, target.clock())
        for block in blocks
    )


def _is_over(block: WriteBlock, generations: Sequence[Generation], now: datetime) -> bool:
    """Say whether a hold is over: with the generation it kept; where it kept none, at its time."""
    kept = [generation for generation in generations if generation.index == block.index]
    if kept:
        return all(generation.state not in _IN_USE for generation in kept)
    return block.until is None or now >= block.until


def retire_indexes(target: Target, lease: Lease) -> tuple[str, ...]:
    """Let go of indexes whose hold has ended; say what became of each.

    An index of the user's is never deleted: it takes writes again and no alias names it.
    """
    engine = target.engine
    if not isinstance(engine, GenerationIndexes):
        return ()
    generations = target.generations.reconcile(target.clock())
    in_use = {generation.index for generation in generations if generation.state in _IN_USE}
    blocks = WriteBlocks(target.store, target.name)
    ended = [
        block.index
        for block in blocks.all()
        if block.purpose is Purpose.HOLD and _is_over(block, generations, target.clock())
    ]
    held = {block.index for block in blocks.all()}
    told = [_let_go(engine, lease, blocks, index) for index in ended]
    told += [
        _drop_half_built(engine, lease, generation)
        for generation in generations
        if generation.way == "index" and generation.index not in in_use | held
    ]
    done = tuple(filter(None, told))
    for _ in done:
        target.reached(Step.INDEX_RETIRED)
    return done


def _let_go(engine: GenerationIndexes, lease: Lease, blocks: WriteBlocks, index: str) -> str:
    lease.check()
    try:
        label = engine.label(index)
    except IndexMissingError:
        blocks.remove(index)
        return f"the index {index!r} had been deleted by somebody else"
    if label is not None and label.ours:
        engine.drop_generation_index(index)
        blocks.remove(index)
        return f"the index {index!r}, made by desireline, was deleted: its hold has ended"
    engine.unblock_writes(index)
    blocks.remove(index)
    return (
        f"the index {index!r} takes writes again and no alias of the target names it: its hold has"
        " ended; delete it when nothing needs it"
    )


def _drop_half_built(engine: GenerationIndexes, lease: Lease, generation: Generation) -> str:
    lease.check()
    try:
        label = engine.label(generation.index)
    except IndexMissingError:
        return ""
    if label is None or label.generation != generation.number:
        return ""
    engine.drop_generation_index(generation.index)
    return f"the index {generation.index!r} of {generation.state} generation was deleted"
