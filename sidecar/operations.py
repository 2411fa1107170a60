"""All that can be asked of the sidecar, by the command line, the server and the schedule."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from desireline.connectors.errors import DesirelineError
from desireline.connectors.search_engine import Hit
from desireline.connectors.state_store import StateStore
from desireline.sidecar.api_keys import ApiKeys
from desireline.sidecar.background import Background
from desireline.sidecar.base_encoder import registered, resolve
from desireline.sidecar.building import put_back, put_live, take_over
from desireline.sidecar.controls import Answer, Wish
from desireline.sidecar.cutover import CutOver, revert, way_back
from desireline.sidecar.cycle import run_cycle
from desireline.sidecar.cycle_report import CycleReport, Diary, Outcome, cycles
from desireline.sidecar.errors import (
    BackfillError,
    EncoderUnknownError,
    LeaseHeldError,
    TargetUnknownError,
)
from desireline.sidecar.follower import Follower
from desireline.sidecar.generations import Generation, State
from desireline.sidecar.hooks import HookPoint
from desireline.sidecar.learning import pull_sessions
from desireline.sidecar.lease import hold_lease
from desireline.sidecar.once import Once
from desireline.sidecar.persistence import persistently
from desireline.sidecar.plan import ReindexPlan, draft
from desireline.sidecar.reporting import LogReporter, Reporter
from desireline.sidecar.retention import sweep
from desireline.sidecar.serving import (
    ClusterAddress,
    LiveGeneration,
    Serving,
    TargetFields,
    serve_by,
)
from desireline.sidecar.steering import reverted_already, run_view, steer, under_way
from desireline.sidecar.target import Target
from desireline.sidecar.telemetry import Metrics
from desireline.sidecar.way import Wanted
from desireline.sidecar.write_block import WriteBlocks

log = structlog.get_logger(__name__)


class Sidecar:
    """The targets of one configuration and everything one may do with them."""

    def __init__(
        self,
        targets: Mapping[str, Target],
        *,
        store: StateStore,
        metrics: Metrics,
        cluster: ClusterAddress | None,
    ) -> None:
        self._targets = dict(targets)
        self._store = store
        self._cluster = cluster
        self.metrics = metrics
        self._serving = {
            name: Serving(target.generations, target.encoders)
            for name, target in self._targets.items()
        }
        self._background = Background()

    # The wheel.

    def tune(self, target: str, reporter: Reporter) -> CycleReport:
        """Turn the wheel once. Raises LeaseHeldError when another process is at it."""
        parts = self._target(target)
        report = persistently(
            lambda: run_cycle(parts, reporter), limit_s=parts.config.swap.patience
        )
        for fingerprint in sweep(parts.store, parts.registry, parts.cache):
            log.info("idle encoder removed", fingerprint=fingerprint)
        self.metrics.cycle_ended(target, report.outcome.value)
        return report

    def start_cycle(self, target: str) -> str:
        """Start a cycle in the background unless one runs here."""
        self._target(target)
        begun = self._background.begin(target, lambda: self.tune(target, LogReporter()))
        return f"a cycle of {target} {'has begun' if begun else 'is running already'}"

    def pull_logs(self, target: str) -> Any:
        """Read the click log and judge its health; changes nothing."""
        return pull_sessions(self._target(target)).health

    # Re-embedding, and the way back.

    def plan(
        self,
        target: str,
        model: str | None,
        *,
        way: Wanted = "auto",
        end_hold: bool = False,
    ) -> ReindexPlan:
        """Say what `reindex` would do; changes nothing."""
        parts = self._target(target)
        live = parts.generations.live()
        source = model or parts.config.model
        fingerprint, encoder = (
            (live.fingerprint, "the live encoder")
            if model is None and live is not None
            else (registered(parts, source), source)
        )
        return draft(parts, fingerprint, encoder=encoder, way=way, end_hold=end_hold)

    def reindex(
        self,
        target: str,
        model: str | None,
        reporter: Reporter,
        *,
        way: Wanted = "auto",
        end_hold: bool = False,
    ) -> CycleReport:
        """Embed every document again and put the result live, without asking the gate."""
        parts = self._target(target)
        return persistently(
            lambda: self._reindex_once(parts, model, reporter, way=way, end_hold=end_hold),
            limit_s=parts.config.swap.patience,
        )

    def _reindex_once(
        self,
        parts: Target,
        model: str | None,
        reporter: Reporter,
        *,
        way: Wanted,
        end_hold: bool,
    ) -> CycleReport:
        with parts.owned() as lease:
            diary = Diary(parts.store, parts.name, reporter, parts.clock)
            try:
                finished = take_over(parts, lease, diary)
                if finished is not None:
                    return diary.end(
                        Outcome.WENT_LIVE,
                        "an interrupted cut-over was finished: generation"
                        f" {finished.number} is live",
                        generation=finished.number,
                    )
                parts.generations.give_up_way_back(now=parts.clock(), force=end_hold)
                live = parts.generations.live()
                fingerprint = (
                    live.fingerprint
                    if model is None and live is not None
                    else resolve(parts, model or parts.config.model, diary)
                )
                swapped = put_live(
                    parts,
                    fingerprint,
                    lease,
                    diary,
                    reason="the operator asked for it",
                    way=way,
                    cycle=diary.cycle,
                )
            except DesirelineError as error:
                diary.fail(error)
                raise
            return diary.end(Outcome.WENT_LIVE, swapped.sentence, generation=swapped.generation)

    def start_reindex(
        self,
        target: str,
        model: str | None,
        *,
        by: str,
        way: Wanted = "auto",
        end_hold: bool = False,
        key: str | None = None,
    ) -> str:
        """Begin to embed every document again, in the background; return the sentence that says so.

        Args:
            target: whose index.
            model: a registered encoder or the configured one; None for the live one.
            by: who asks.
            way: slots in place, a new index, or whatever fits.
            end_hold: give up the way back that a hold still keeps.
            key: the same key again is answered the same and begins nothing.

        Raises:
            BackfillError: the plan refuses, by name.
            EncoderUnknownError: no such encoder.
            KeyReusedError: the key stands for another request.

        """
        parts = self._target(target)
        asked = {"target": target, "model": model, "way": way, "end_hold": end_hold}

        def begin() -> str:
            self._require_feasible(parts, model, way=way, end_hold=end_hold)
            work = partial(self.reindex, target, model, LogReporter(), way=way, end_hold=end_hold)
            if under_way(self.run(target)) or not self._background.begin(target, work):
                return f"{target} is being worked on already; nothing more was begun"
            log.info("a re-embedding was asked for", target=target, by=by)
            return f"the re-embedding of {target} has begun"

        return begin() if key is None else Once(self._store, parts.clock).answer(key, asked, begin)

    def _require_feasible(
        self, parts: Target, model: str | None, *, way: Wanted, end_hold: bool
    ) -> None:
        if model not in {None, parts.config.model} and registered(parts, str(model)) is None:
            raise EncoderUnknownError(
                f"no encoder {str(model)[:80]!r} is registered; nothing was begun",
                next_step=f"desireline reindex {parts.name} --model … imports one first",
            )
        refused = self.plan(parts.name, model, way=way, end_hold=end_hold).refusals
        if refused:
            raise BackfillError(
                f"{'; '.join(refused)}; nothing was begun and what serves is unchanged",
                next_step=f"desireline reindex {parts.name} --plan shows all that is needed",
            )

    def steer(
        self,
        target: str,
        wish: Wish,
        *,
        by: str,
        documents_a_second: float | None = None,
        run: str | None = None,
    ) -> Answer:
        """Pause, resume, throttle, postpone, cut over or cancel; safe to repeat."""
        controls = self._target(target).controls
        rate = documents_a_second
        return steer(controls, target, wish, by=by, documents_a_second=rate, run=run)

    def run(self, target: str) -> dict[str, Any]:
        """Where the run under way, or last ended, stands."""
        return run_view(self._store, target, self._target(target).controls)

    def revert(self, target: str, to: int | None = None) -> str:
        """Bring the retained generation back, with every write since in its slot.

        Safe to repeat: what is live already is not swapped again. Without `to` only an older
        generation is gone back to.

        Raises:
            RevertRefusedError, HookRefusedError: what serves is unchanged.

        """
        parts = self._target(target)
        found = parts.generations.pointer()
        if found is not None and (done := reverted_already(found[0], to)):
            return done
        facts = {"target": target, "generation": str(found[0].previous) if found else ""}
        parts.hooks.run(HookPoint.BEFORE_REVERT, facts)
        self.follow_once(target)
        swapped = self._swap_back(parts, reason="the operator asked for it")
        self._serving[target].refresh()
        parts.hooks.run(HookPoint.AFTER_REVERT, facts)
        return swapped.sentence

    def _swap_back(self, parts: Target, *, reason: str) -> CutOver:
        pointer, _ = way_back(parts.generations, parts.clock())
        live, former = (
            parts.generations.get(number)
            for number in (pointer.generation, pointer.previous)
            if number is not None
        )
        if former.index == live.index:
            return revert(parts.generations, reason=reason, clock=parts.clock)
        with parts.owned() as lease:
            take_over(parts, lease, LogReporter())
            return put_back(parts, lease, LogReporter(), reason=reason)

    def tidy(self, target: str) -> None:
        """Finish or undo what a killed run left of a write block, and end a hold that is over.

        Does nothing where there is no such thing, or while another process is at it.
        """
        parts = self._target(target)
        if not WriteBlocks(parts.store, target).all():
            return
        try:
            with parts.owned() as lease:
                take_over(parts, lease, LogReporter())
        except LeaseHeldError:
            return

    def follow_once(self, target: str) -> int:
        """Bring the slots that serve, or may, up to now; 0 where another process does so."""
        parts = self._target(target)
        try:
            with hold_lease(
                parts.store, f"{target} follower", ttl_s=parts.config.swap.lease_ttl
            ) as lease:
                return self.follower(target).follow_once(lease)
        except LeaseHeldError:
            return 0

    def follower(self, target: str) -> Follower:
        """Return what keeps a target's slots fresh."""
        parts = self._target(target)
        return Follower(
            engine=parts.engine,
            generations=parts.generations,
            writer_for=parts.writer_for,
            clock=parts.clock,
            caught_up=self._caught_up,
            embedded=self._written,
            index=parts.config.index,
        )

    # Queries.

    def targets(self) -> list[str]:
        """Names of the configured targets."""
        return list(self._targets)

    def target_of_index(self, index: str) -> str | None:
        """Return the target that an application means by this index or alias."""
        for name, target in self._targets.items():
            if target.config.index == index:
                return name
        return None

    def fields(self, target: str) -> TargetFields:
        """Return the fields of a target's index that a query may name."""
        config = self._target(target).config
        return TargetFields(
            vector=config.vector,
            slots=(f"{config.vector}__a", f"{config.vector}__b"),
            text=config.boosts,
        )

    def live(self, target: str) -> LiveGeneration:
        """Return the one object a query is answered by."""
        self._target(target)
        return self._serving[target].live()

    def cluster(self) -> ClusterAddress | None:
        """Return where searches go; None with an embedded engine."""
        return self._cluster

    def search(self, target: str, text: str, k: int) -> tuple[LiveGeneration, list[Hit]]:
        """Answer a query by the live generation."""
        live = self.live(target)
        return live, live.search(self._target(target).engine, text, k)

    def search_retained(
        self, target: str, text: str, k: int
    ) -> tuple[LiveGeneration, list[Hit]] | None:
        """Answer it by the generation that a revert would bring back; None without one."""
        parts = self._target(target)
        retained = _first(parts.generations.all(), State.RETAINED)
        if retained is None:
            return None
        shadow = serve_by(retained, parts.encoders)
        return shadow, shadow.search(parts.engine, text, k)

    def search_text(self, target: str, field: str, text: str, k: int) -> list[Hit]:
        """Answer a query by BM25 over one field."""
        parts = self._target(target)
        boost = dict(parts.config.boosts).get(field, 1.0)
        return parts.engine.search_text(parts.config.index, [(field, boost)], text, k)

    # What is going on.

    def generations(self, target: str) -> list[dict[str, Any]]:
        """Every generation, newest first."""
        parts = self._target(target)
        return [_told(parts, generation) for generation in reversed(parts.generations.all())]

    def last_cycle(self, target: str) -> dict[str, Any] | None:
        """Report of the last cycle, running or ended."""
        reports = cycles(self._store, self._target(target).name)
        return reports[-1].to_json() if reports else None

    def status(self, target: str) -> dict[str, Any]:
        """Where the target stands."""
        parts = self._target(target)
        found = parts.generations.pointer()
        pointer = None if found is None else found[0].model_dump(mode="json")
        last = self.last_cycle(target)
        return {
            "target": target,
            "index": parts.config.index,
            "pointer": pointer,
            "schedule": parts.config.tune.schedule,
            "last_cycle": last and {k: last[k] for k in ("cycle", "outcome", "reason")},
        }

    def api_keys(self) -> ApiKeys:
        """Return the API keys."""
        return ApiKeys(self._store)

    # Running beside a server.

    def refresh(self) -> None:
        """Look at every pointer and tell the metrics."""
        for name, serving in self._serving.items():
            live = serving.refresh()
            if live is not None:
                self.metrics.live(name, live.number)

    def preload(self) -> None:
        """Load the encoders of generations that may go live next."""
        for serving in self._serving.values():
            serving.preload()

    def parts(self, target: str) -> Target:
        """Return all the parts of a target."""
        return self._target(target)

    def close(self) -> None:
        """Release connections and files."""
        for target in self._targets.values():
            target.engine.close()
        self._store.close()

    def _target(self, name: str) -> Target:
        if name not in self._targets:
            raise TargetUnknownError(
                f"no target is called {name!r}; configured: {', '.join(self._targets)}"
            )
        return self._targets[name]

    def _written(self, target: str, documents: int, seconds: float) -> None:
        self.metrics.document_stale(target, documents, seconds=seconds)

    def _caught_up(self, target: str, refreshed: int, seconds: float) -> None:
        self.metrics.embedded(target, refreshed)
        self.metrics.stale(target, seconds=seconds)


def _first(generations: Sequence[Generation], state: State) -> Generation | None:
    return next((g for g in generations if g.state is state), None)


def _told(parts: Target, generation: Generation) -> dict[str, Any]:
    told = generation.model_dump(
        mode="json",
        include={
            "number",
            "state",
            "slot",
            "fingerprint",
            "parent",
            "created_at",
            "cycle",
            "reason",
        },
    )
    told["coverage"] = None
    if generation.state in {State.LIVE, State.RETAINED, State.READY, State.BUILDING}:
        covered = parts.engine.coverage(generation.index, generation.slot, generation.number)
        told["coverage"] = {"documents": covered.documents, "stamped": covered.stamped}
    return told
