"""All that can be asked of the sidecar, by the command line, the server and the schedule."""

from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import structlog

from desireline.connectors.search_engine import Hit
from desireline.connectors.state_store import StateStore
from desireline.sidecar.configuration.tune import WantedMode
from desireline.sidecar.cycle import run_cycle
from desireline.sidecar.erasing import retraining
from desireline.sidecar.erasing.erasure import ErasureReport, What, erase
from desireline.sidecar.errors import (
    LeaseHeldError,
    TargetUnknownError,
)
from desireline.sidecar.follower import Follower
from desireline.sidecar.hooks.points import HookPoint
from desireline.sidecar.learning.from_clicks import pull_sessions
from desireline.sidecar.lease import hold_lease, last_owner
from desireline.sidecar.models.description import ModelDescription, described
from desireline.sidecar.models.exchange import ModelExchange
from desireline.sidecar.models.export import export_model
from desireline.sidecar.models.intent_records import intents_of, sweep_heads
from desireline.sidecar.models.intent_sharing import HeadExchange
from desireline.sidecar.models.records import ModelRecord, model_record, model_records
from desireline.sidecar.models.retention import sweep
from desireline.sidecar.on_request import reindexing
from desireline.sidecar.on_request.api_keys import ApiKeys
from desireline.sidecar.on_request.audit import audit_index, audit_slot
from desireline.sidecar.on_request.background import Background
from desireline.sidecar.on_request.intent_standing import intent_standing
from desireline.sidecar.on_request.labelling import weak_labels
from desireline.sidecar.on_request.mining_report import mining_report
from desireline.sidecar.on_request.once import Once
from desireline.sidecar.on_request.persistence import persistently
from desireline.sidecar.on_request.plan import ReindexPlan
from desireline.sidecar.on_request.quantising import quantise
from desireline.sidecar.on_request.standing import (
    history,
    last_cycle,
    retained_generation,
    standing,
)
from desireline.sidecar.proof.vector_spaces import Survey
from desireline.sidecar.proof.verification import Verification
from desireline.sidecar.reports.answer_changes import forget_changes
from desireline.sidecar.reports.cycle_report import CycleReport
from desireline.sidecar.reports.log_reports import forget_report, keep_health, kept_report
from desireline.sidecar.reports.reporting import LogReporter, Reporter
from desireline.sidecar.reports.telemetry import Metrics
from desireline.sidecar.serving.intent import Answered, Intents, answer
from desireline.sidecar.serving.live import (
    ClusterAddress,
    LiveGeneration,
    Serving,
    TargetFields,
    serve_by,
)
from desireline.sidecar.steering.controls import Answer, Wish
from desireline.sidecar.steering.hand import reverted_already, run_view, steer, under_way
from desireline.sidecar.target import Target
from desireline.sidecar.ways.choice import Wanted
from desireline.trainer.registry import Registry
from desireline.trainer.trust.belief import trust

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
        self._intents = {name: intents_of(target) for name, target in self._targets.items()}
        self._background = Background()
        self._reading = Background()

    # The wheel.

    def tune(
        self, target: str, reporter: Reporter, *, mode: WantedMode | None = None
    ) -> CycleReport:
        """Turn the wheel once, in the configured mode or this one.

        Raises LeaseHeldError when another process is at it.
        """
        parts = self._target(target).in_mode(mode)
        report = persistently(
            lambda: run_cycle(parts, reporter),
            last_owner=lambda: last_owner(parts.store, target),
            limit_s=parts.config.swap.patience,
        )
        for fingerprint in sweep(parts.store, parts.registry, parts.cache):
            log.info("idle encoder removed", fingerprint=fingerprint)
        sweep_heads(parts)
        retraining.sweep_notes(parts)
        self.exchange.share()
        self.heads.exchange()
        self.metrics.cycle_ended(target, report.outcome.value)
        return report

    def start_cycle(self, target: str) -> str:
        """Start a cycle in the background unless one runs here."""
        self._target(target)
        begun = self._background.begin(target, lambda: self.tune(target, LogReporter()))
        return f"a cycle of {target} {'has begun' if begun else 'is running already'}"

    def pull_logs(self, target: str) -> Any:
        """Read the click log and judge its health, and whom of it to believe; changes nothing."""
        parts = self._target(target)
        return trust(pull_sessions(parts), parts.config.trust).sessions.health

    def read_logs(self, target: str) -> dict[str, Any]:
        """Do as `pull_logs`, keep the report, and return it; see `log_reports.report_of`."""
        parts = self._target(target)
        return keep_health(
            self._store,
            target,
            self.pull_logs(target),
            at=parts.clock(),
            tune_from_clicks=parts.config.tune.min_clicks,
        )

    def mine(self, target: str, query: str | None = None) -> dict[str, Any]:
        """Look for the pairs that a cycle would learn from now; see `mining_report`."""
        return mining_report(self._target(target), query)

    def weak_labels(self, target: str) -> Any:
        """Read the click log and grade what it shows; changes nothing. See `Judgments`."""
        return weak_labels(self._target(target))

    def log_report(self, target: str) -> dict[str, Any]:
        """Return the report kept last, and whether the log is being read here."""
        self._target(target)
        return {
            "report": kept_report(self._store, target),
            "reading": self._reading.busy(target),
            "failed": self._reading.failed(target),
        }

    def start_log_reading(self, target: str) -> str:
        """Begin to read the click log in the background, unless that is under way here."""
        self._target(target)
        begun = self._reading.begin(target, lambda: self.read_logs(target))
        return f"the click log of {target} {'is being read' if begun else 'is read already'}"

    def erase(self, target: str, what: What, named: str, *, by: str) -> ErasureReport:
        """Remove a client or a query from everything kept, and prove it; safe to repeat."""
        parts = self._target(target)
        forget_report(self._store, target)
        forget_changes(self._store, target)
        return erase(parts, what, named, by=by)

    def keep_promises(self, target: str) -> None:
        """Delete salts and events whose time is over, and begin a retrain that is due."""
        parts = self._target(target)
        if parts.privacy is None:
            return
        parts.privacy.keep_promises(parts.archive)
        retraining.sweep_notes(parts)
        if retraining.begin_now(parts):
            self.start_cycle(target)

    def quantise(self, target: str, reporter: Reporter, *, end_hold: bool = False) -> CycleReport:
        """Serve an int8 form of the live encoder, if the gate agrees."""
        return quantise(self._target(target), reporter, end_hold=end_hold)

    # Re-embedding, and the way back.

    def plan(
        self, target: str, model: str | None, *, way: Wanted = "auto", end_hold: bool = False
    ) -> ReindexPlan:
        """Say what `reindex` would do; changes nothing."""
        return reindexing.plan(self._target(target), model, way=way, end_hold=end_hold)

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
        return reindexing.reindex(self._target(target), model, reporter, way=way, end_hold=end_hold)

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
            reindexing.require_feasible(parts, model, way=way, end_hold=end_hold)
            work = partial(self.reindex, target, model, LogReporter(), way=way, end_hold=end_hold)
            if under_way(self.run(target)) or not self._background.begin(target, work):
                return f"{target} is being worked on already; nothing more was begun"
            log.info("a re-embedding was asked for", target=target, by=by)
            return f"the re-embedding of {target} has begun"

        return begin() if key is None else Once(self._store, parts.clock).answer(key, asked, begin)

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
        swapped = reindexing.swap_back(parts)
        self._serving[target].refresh()
        parts.hooks.run(HookPoint.AFTER_REVERT, facts)
        return swapped.sentence

    def tidy(self, target: str) -> None:
        """Finish or undo what a killed run left of a write block, and end a hold that is over."""
        reindexing.tidy(self._target(target))

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

    def verify(
        self, target: str, reporter: Reporter, *, slot: str | None, sample: int | None
    ) -> Verification:
        """Prove a slot of the target, or what is live, and change nothing."""
        return audit_slot(self._target(target), reporter, slot=slot, sample=sample)

    def survey(self, target: str, reporter: Reporter, **asked: Any) -> Survey:
        """Say of which encoder the vectors of any index are; see `audit_index`."""
        return audit_index(self._target(target), reporter, **asked)

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

    def answer(self, target: str, text: str, k: int) -> Answered:
        """Answer a query by the live generation, and by what it means where the target says so."""
        return answer(
            self._target(target).engine, self.live(target), self._intents[target], text, k
        )

    def intents(self, target: str) -> Intents:
        """Return the heads that tell what queries of a target mean."""
        self._target(target)
        return self._intents[target]

    def search_retained(
        self, target: str, text: str, k: int
    ) -> tuple[LiveGeneration, list[Hit]] | None:
        """Answer it by the generation that a revert would bring back; None without one."""
        parts = self._target(target)
        retained = retained_generation(parts)
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
        return history(self._target(target))

    def last_cycle(self, target: str) -> dict[str, Any] | None:
        """Report of the last cycle, running or ended."""
        return last_cycle(self._target(target))

    def status(self, target: str) -> dict[str, Any]:
        """Where the target stands."""
        return standing(self._target(target))

    def models(self) -> list[ModelRecord]:
        """Every registered encoder with its history, newest first."""
        return model_records(self._store, self._registry)

    def models_of(self, target: str) -> list[ModelDescription]:
        """Describe the encoders that a target has to do with, newest first."""
        self._target(target)
        return described(self.models(), target)

    def intent_standing(self, target: str) -> dict[str, Any] | None:
        """Say how good the intent head is that serves; None where no intent is learned."""
        return intent_standing(self._target(target))

    def model(self, name: str) -> ModelRecord:
        """Return one encoder's history. Raises ModelMissingError, ModelChangedError."""
        return model_record(self._store, self._registry, name)

    def export_model(self, name: str, folder: Path) -> ModelRecord:
        """Write an encoder and its card to a new folder. Raises SidecarError."""
        record = self.model(name)
        export_model(self._registry, record, folder)
        return record

    @cached_property
    def exchange(self) -> ModelExchange:
        """What brings models here from elsewhere and takes them there."""
        return ModelExchange(self._store, self._registry)

    @cached_property
    def heads(self) -> HeadExchange:
        """What brings intent heads here from elsewhere and takes them there."""
        return HeadExchange(self._targets)

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
                self._intents[name].refresh(live.fingerprint)

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
            target.cache.close()
        self._store.close()

    @property
    def _registry(self) -> Registry:
        """The one that all targets share."""
        return next(iter(self._targets.values())).registry

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
