"""From an encoder in the registry to a live generation: build, wait for release, prove, swap."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from desireline.connectors.search_engine import Read, Slot
from desireline.sidecar.cutover import CutOver, warm_up
from desireline.sidecar.errors import BackfillError, RunCancelledError
from desireline.sidecar.generations import Generation, State, free_slot
from desireline.sidecar.hooks.points import HookPoint
from desireline.sidecar.lease import Lease
from desireline.sidecar.reports.reporting import Reporter
from desireline.sidecar.run import Run, open_run
from desireline.sidecar.serving.live import serve_by
from desireline.sidecar.serving.replicas import wait_for_replicas
from desireline.sidecar.serving.stage import refuse_lossy, served_recall
from desireline.sidecar.steering.steps import Step
from desireline.sidecar.target import Target
from desireline.sidecar.verify import verify
from desireline.sidecar.ways.choice import Choice, Wanted, Way, choose
from desireline.sidecar.ways.index_recovery import recover, retire_indexes
from desireline.sidecar.ways.index_way import (
    begin_index,
    build_index,
    cut_over_index,
    keep_index_near,
    revert_index,
)
from desireline.sidecar.ways.query_way import begin_query, build_query
from desireline.sidecar.ways.slot_way import begin_slot, build_slot, cut_over_slot, keep_slot_near

_POSTPONED_LOOK_S = 1.0
#: Looks between two catch-ups while the cut-over is postponed: the generation stays nearly fresh.
_LOOKS_A_CATCH_UP = 30

#: Queries that are asked of the new slot before users are.
_CANARIES = 10
_CANARY_LETTERS = 200


class _Begin(Protocol):
    def __call__(self, run: Run, fingerprint: str, *, cycle: str | None) -> Generation: ...


class _Swap(Protocol):
    def __call__(self, run: Run, generation: Generation, *, reason: str) -> CutOver: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stages:
    """What the ways do differently."""

    begin: _Begin
    build: Callable[[Run, Generation], Generation]
    keep_near: Callable[[Run, Generation], Generation]
    cut_over: _Swap
    #: Whether documents are embedded, which hooks may want to know before.
    embeds: bool = True


_WAYS: Mapping[Way, _Stages] = {
    "slot": _Stages(
        begin=begin_slot, build=build_slot, keep_near=keep_slot_near, cut_over=cut_over_slot
    ),
    "index": _Stages(
        begin=begin_index, build=build_index, keep_near=keep_index_near, cut_over=cut_over_index
    ),
    "query": _Stages(
        begin=begin_query,
        build=build_query,
        keep_near=keep_slot_near,
        cut_over=cut_over_slot,
        embeds=False,
    ),
}


def take_over(target: Target, lease: Lease, reporter: Reporter) -> Generation | None:
    """Finish or undo what a former owner left half-done, and let go of what no hold keeps.

    To be called first by whoever has just become the owner of the target. Returns the generation
    that went live by it, if one did.
    """
    unfinished = target.generations.unfinished()
    for sentence in (*recover(target, lease), *retire_indexes(target, lease)):
        reporter.step("recover", sentence)
    live = target.generations.live()
    went_live = unfinished is not None and live is not None and live.number == unfinished.number
    return live if went_live else None


def put_live(
    target: Target,
    fingerprint: str,
    lease: Lease,
    reporter: Reporter,
    *,
    reason: str,
    way: Wanted = "auto",
    cycle: str | None = None,
    canaries: Sequence[str] = (),
) -> CutOver:
    """Embed the live index with an encoder and swap it in.

    A generation of the same encoder that was interrupted is gone on with. Where the live vectors
    are those that the encoder's queries are compared with, no document is embedded. The first of
    `canaries` are asked before the swap, the beginnings of documents where there are none.

    Raises:
        BackfillError: the proof failed; the live generation is unchanged.
        RunCancelledError: the operator gave it up; the live generation is unchanged.
        CutOverRefusedError, HookRefusedError, LeaseLostError: as they say.

    """
    in_place = way in {"auto", "query"}
    with open_run(target, lease, reporter, fingerprint=fingerprint, in_place=in_place) as run:
        generation = _begin(run, fingerprint, cycle, way)
        run.status.building(generation.number, generation.way)
        for sentence in target.share(fingerprint):
            run.reporter.step("registry", sentence)
        stages = _WAYS[generation.way]
        try:
            if generation.state is State.BUILDING:
                if stages.embeds:
                    run.call(HookPoint.BEFORE_BACKFILL, generation=str(generation.number))
                generation = stages.build(run, generation)
            generation = _wait_for_release(run, generation, stages)
            return _swap(run, generation, stages, reason, canaries)
        except RunCancelledError as error:
            target.generations.change(generation, state=State.CANCELLED, reason=str(error))
            raise


def put_back(target: Target, lease: Lease, reporter: Reporter, *, reason: str) -> CutOver:
    """Bring the former index back: up to date first, then behind the alias again.

    Raises:
        RevertRefusedError, CutOverRefusedError, LeaseLostError: as they say.

    """
    live = target.generations.live()
    assert live is not None, "the caller has seen that there is something to go back from"
    with open_run(target, lease, reporter, fingerprint=live.fingerprint) as run:
        run.status.building(live.number, "index")
        swapped = revert_index(run, reason=reason)
        run.reporter.step("revert", swapped.sentence, generation=swapped.generation)
        return swapped


def _begin(run: Run, fingerprint: str, cycle: str | None, way: Wanted) -> Generation:
    generations = run.target.generations
    unfinished = generations.unfinished()
    if unfinished is not None:
        same = unfinished.fingerprint == fingerprint and way in {"auto", unfinished.way}
        stale = _was_overtaken(generations.live(), unfinished) or run.patience().until(
            lambda: _was_left_behind(run.target, unfinished)
        )
        if same and not stale:
            run.reporter.step(
                "resume",
                f"generation {unfinished.number} was interrupted while {unfinished.state};"
                " going on with it",
            )
            return unfinished
        run.lease.check()
        generations.change(
            unfinished, state=State.CANCELLED, reason="another encoder or way was wanted"
        )
    choice = run.patience().until(lambda: _choose(run.target, fingerprint, way))
    run.reporter.step("way", f"{choice.way}: {choice.reason}", way=choice.way)
    return _WAYS[choice.way].begin(run, fingerprint, cycle=cycle)


def _was_overtaken(live: Generation | None, unfinished: Generation) -> bool:
    """Whether what went live meanwhile leaves no place for what an owner began that slept."""
    if unfinished.vectors_of is not None:
        return _lost_its_vectors(live, unfinished)
    return _takes_the_live_slot(live, unfinished)


def _lost_its_vectors(live: Generation | None, unfinished: Generation) -> bool:
    """Whether the vectors that were to be searched are not live any more."""
    return live is None or live.vectors != unfinished.vectors


def _takes_the_live_slot(live: Generation | None, unfinished: Generation) -> bool:
    """Whether an owner that slept past its lease chose a slot which went live meanwhile."""
    return live is not None and (live.index, live.slot) == (unfinished.index, unfinished.slot)


def _was_left_behind(target: Target, unfinished: Generation) -> bool:
    """Whether the alias left the index that it is made from, while its owner slept, say."""
    source = unfinished.copied_from if unfinished.way == "index" else unfinished.index
    return target.engine.describe(target.config.index).index != source


def _choose(target: Target, fingerprint: str, way: Wanted) -> Choice:
    encoder = target.encoders.get(fingerprint)
    slot = Slot(
        name=free_slot(target.config.vector, target.generations.live()),
        dimension=encoder.dimension,
        similarity=encoder.similarity,
    )
    described = target.engine.describe(target.config.index)
    shared = target.shared_vectors(fingerprint, described.index)
    choice = choose(target, described, slot, way, shared=shared)
    if choice.refusals:
        raise BackfillError(
            f"{'; '.join(choice.refusals)}; nothing was written and what serves is unchanged",
            next_step=f"desireline reindex {target.name} --plan shows all that is needed",
        )
    return choice


def _wait_for_release(run: Run, generation: Generation, stages: _Stages) -> Generation:
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
            generation = stages.keep_near(run, generation)
    return generation


def _swap(
    run: Run, generation: Generation, stages: _Stages, reason: str, canaries: Sequence[str]
) -> CutOver:
    target = run.target
    run.reporter.step(
        "replicas",
        wait_for_replicas(
            target.store,
            target.name,
            generation.fingerprint,
            limit_s=target.config.swap.replica_wait,
            sleep=run.sleep,
        ),
    )
    run.reached(Step.REPLICAS_LOADED)
    shadow = serve_by(generation, target.encoders)
    asked = canaries[:_CANARIES] or _own_texts(run, generation)
    warmed = run.patience().until(lambda: warm_up(target.engine, shadow, asked))
    run.reached(Step.WARMED_UP)
    if target.config.swap.min_recall:
        served = run.patience().until(lambda: served_recall(target.engine, shadow, asked))
        run.reporter.step("served", served.sentence, recall=served.recall)
        refuse_lossy(served, target.config.swap.min_recall)
    generation = _prove(run, generation, warmed=warmed)
    run.call(HookPoint.BEFORE_CUT_OVER, generation=str(generation.number))
    generation = stages.keep_near(run, generation)
    run.check()
    run.reached(Step.CUT_OVER_BEGUN)
    swapped = stages.cut_over(run, generation, reason=reason)
    run.reporter.step("cut-over", swapped.sentence, generation=swapped.generation)
    run.call(HookPoint.AFTER_CUT_OVER, generation=str(swapped.generation))
    return swapped


def _own_texts(run: Run, generation: Generation) -> list[str]:
    """Where nobody gave canary queries: the beginnings of a few documents find something, too."""
    template = run.target.registry.get(generation.fingerprint).text_template
    read = Read(fields=template.fields, batch_size=_CANARIES)
    page = next(iter(run.target.engine.scan(generation.index, read)), [])
    texts = (template.render(document.fields)[:_CANARY_LETTERS] for document in page)
    return [text for text in texts if text][:_CANARIES]


def _prove(run: Run, generation: Generation, *, warmed: int) -> Generation:
    target = run.target
    writer = run.writer(generation)
    proof = run.patience().until(
        lambda: verify(
            target.engine,
            target.store,
            writer,
            generation.fence,
            sample=target.sample_for(generation),
            reporter=run.reporter,
            sleep=run.sleep,
        )
    )
    run.reporter.step(
        "verify",
        f"{proof.sentence}; {warmed} canary queries answered",
        documents=proof.documents,
        stamped=proof.stamped,
    )
    if not proof.passes(max_failed=target.config.swap.max_failed):
        run.check()
        target.generations.change(generation, state=State.FAILED, reason=proof.sentence)
        raise BackfillError(
            f"generation {generation.number} was not proved complete: {proof.sentence};"
            " the live generation is unchanged",
            next_step="mend the documents named, or allow some with swap.max_failed, and run again",
        )
    generation = target.generations.change(generation, caught_up=proof.fence.to_json())
    run.reached(Step.VERIFIED)
    return generation
