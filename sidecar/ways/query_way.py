"""The query encoder alone: a new generation over the vectors that are live. Nothing is embedded."""

from desireline.sidecar.errors import BackfillError
from desireline.sidecar.generations import Generation, State
from desireline.sidecar.run import Run
from desireline.sidecar.steering.steps import Step
from desireline.sidecar.ways.slot_way import keep_slot_near


def begin_query(run: Run, fingerprint: str, *, cycle: str | None = None) -> Generation:
    """Give a number to a generation over the live one's slot and stamps.

    Raises:
        BackfillError: the live vectors are not of the space that this encoder's queries are in.

    """
    target = run.target
    index = target.engine.describe(target.config.index).index
    live = target.shared_vectors(fingerprint, index)
    if live is None:
        raise BackfillError(
            f"the vectors that are live in {index!r} are not those that encoder"
            f" {fingerprint[:12]} searches; nothing was written and what serves is unchanged",
            next_step=f"desireline reindex {target.name} --plan shows which way is open",
        )
    generation = target.generations.create(
        index=live.index,
        slot=live.slot,
        dimension=live.dimension,
        similarity=live.similarity,
        fingerprint=fingerprint,
        parent=live.number,
        cycle=cycle,
        created_at=target.clock(),
        started_at_fence=live.started_at_fence,
        caught_up=live.caught_up,
        way="query",
        vectors_of=live.stamp_number,
    )
    run.reached(Step.GENERATION_CREATED)
    return generation


def build_query(run: Run, generation: Generation) -> Generation:
    """Bring the live vectors up to now, as their follower does, too."""
    near = keep_slot_near(run, generation)
    ready = run.target.generations.change(near, state=State.READY)
    run.reached(Step.CAUGHT_UP)
    return ready
