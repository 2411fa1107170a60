"""What a target's generation indexes are copied with."""

from contextlib import suppress
from datetime import datetime, timedelta

from desireline.connectors.errors import StateConflictError
from desireline.connectors.generation_indexes import GenerationIndexes
from desireline.connectors.search_engine import Fence
from desireline.sidecar.errors import BackfillError, CutOverRefusedError
from desireline.sidecar.generations import Generation
from desireline.sidecar.run import Run
from desireline.sidecar.target import Target
from desireline.sidecar.ways.alias_swap import AliasSwap
from desireline.sidecar.ways.copy_proof import Prover
from desireline.sidecar.ways.copying import Copier, CopyingEngine, CopyParts
from desireline.sidecar.ways.write_block import WriteBlocks
from desireline.sidecar.writing.embedding_writer import FAILED_DOCUMENT, failed_documents


def copying_engine(target: Target) -> CopyingEngine:
    """Return the target's engine. Raises BackfillError where it has no such way."""
    engine = target.engine
    if not isinstance(engine, GenerationIndexes):
        raise BackfillError(
            f"the search engine of target {target.name!r} has no aliases, so no new index can be"
            " swapped in; nothing was changed",
            next_step="use slots in place: desireline reindex TARGET --way slot",
        )
    return engine


def copier(run: Run, generation: Generation) -> Copier:
    """Return what brings the generation's index up to date."""
    target = run.target
    engine = copying_engine(target)
    label = engine.label(generation.index)
    assert label is not None, "an index that is copied to is labelled first"

    def keep(position: Fence) -> None:
        target.generations.change(generation, copied=position.to_json())

    def remember_failure(document_id: str, reason: str) -> None:
        _remember_failure(target, generation, document_id, reason)

    parts = CopyParts(
        engine=engine,
        encoder=target.encoder(generation.fingerprint),
        template=target.registry.get(generation.fingerprint).text_template,
        lease=run.lease,
        may_write=run.may_write,
        patience=run.patience,
        keep=keep,
        remember_failure=remember_failure,
        reached=run.reached,
        batch_size=target.config.swap.batch_size,
        written_as=run.patience().until(
            lambda: engine.own_copies(generation.index, run.lease.fencing)
        ),
    )
    return Copier(parts, target.generations.get(generation.number), label.versions)


def prover(run: Run, copies: Copier) -> Prover:
    """Return what compares the copy with its source."""
    failed = failed_documents(run.target.store, copies.generation)
    return Prover(copies, failed, run.target.config.swap.batch_size)


def alias_swap(run: Run, copies: Copier, proof_by: Prover, *, reason: str) -> AliasSwap:
    """Return what moves the alias to the copy."""
    target = run.target

    def about_to_swap(fence: Fence) -> None:
        """From here on the other index is the copy, should one go back to it."""
        position = fence.to_json()
        live = target.generations.live()
        if live is not None:
            target.generations.change(live, copied_from=copies.generation.index, copied=position)
        held = target.generations.change(copies.generation, caught_up=position)
        if held.state is not copies.generation.state:
            raise CutOverRefusedError(
                f"generation {held.number} is {held.state} by now; the alias was not moved and what"
                " serves is unchanged",
                next_step="run the command again",
            )

    return AliasSwap(
        copier=copies,
        prover=proof_by,
        blocks=WriteBlocks(target.store, target.name),
        lease=run.lease,
        target=target.name,
        alias=target.config.index,
        reason=reason,
        pause_s=target.config.swap.write_pause,
        hold_until=_hold_until(target),
        about_to_swap=about_to_swap,
        reached=run.reached,
    )


def _hold_until(target: Target) -> datetime | None:
    """Without a generation that is held, the index that is left is blocked for as long."""
    if target.generations.pointer() is not None:
        return None
    return target.clock() + timedelta(seconds=target.config.swap.hold)


def _remember_failure(
    target: Target, generation: Generation, document_id: str, reason: str
) -> None:
    key = f"{target.name}:{generation.stamp_number:08d}:{document_id}"
    body = {"document_id": document_id, "reason": reason}
    expected = target.store.get(FAILED_DOCUMENT, key)
    with suppress(StateConflictError):  # somebody wrote the same failure just now
        target.store.put(FAILED_DOCUMENT, key, body, expected=expected)
