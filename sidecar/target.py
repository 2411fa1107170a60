"""All the parts that one target is worked on with."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from desireline.connectors.errors import FieldMissingError, IndexMissingError
from desireline.connectors.log_source import LogSource
from desireline.connectors.search_engine import SearchEngine
from desireline.connectors.search_relevance import SearchRelevance
from desireline.connectors.state_store import StateStore
from desireline.sidecar.archive.event_archive import EventArchive
from desireline.sidecar.archive.pulling import Transform, as_it_is
from desireline.sidecar.configuration.target import TargetConfig
from desireline.sidecar.configuration.tune import WantedMode
from desireline.sidecar.generations import Generation, Generations
from desireline.sidecar.hooks.points import Hooks
from desireline.sidecar.lease import Lease, hold_lease
from desireline.sidecar.privacy.promises import Privacy
from desireline.sidecar.proof.reencoding import Sample
from desireline.sidecar.serving.encoders import EncoderPool
from desireline.sidecar.steering.controls import Controls
from desireline.sidecar.steering.steps import Reached, go_on
from desireline.sidecar.throttling.headroom import Need
from desireline.sidecar.worker_process import WorkerProcess
from desireline.sidecar.writing.embedding_cache import CachedEncoder, EmbeddingCache
from desireline.sidecar.writing.embedding_writer import EmbeddingWriter
from desireline.sidecar.writing.patience import Patience
from desireline.trainer.registry import Registry


def _keep(fingerprint: str) -> Sequence[str]:  # noqa: ARG001 - nobody to share it with
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One index, its configuration, and what is needed to tune it."""

    name: str
    config: TargetConfig
    engine: SearchEngine
    store: StateStore
    registry: Registry
    cache: EmbeddingCache
    encoders: EncoderPool
    worker: WorkerProcess
    log_source: LogSource | None
    clock: Callable[[], datetime]
    #: Where pulled events are kept; without one the log is read whole each time.
    archive: EventArchive | None = None
    #: What happens to events before they touch this machine's disk.
    protect: Transform = as_it_is
    #: What is kept of people on this machine; None where nothing is.
    privacy: Privacy | None = None
    hooks: Hooks = field(default_factory=Hooks)
    #: Told of every step of a re-embedding as it is passed.
    reached: Reached = go_on
    #: Opens the cluster's judgments behind a prefix; None without a cluster.
    judgment_lists: Callable[[str], SearchRelevance] | None = None
    #: Shares an encoder with other machines before it serves; says how that went.
    share: Callable[[str], Sequence[str]] = _keep
    #: How a run waits.
    sleep: Callable[[float], None] = time.sleep

    def in_mode(self, mode: WantedMode | None) -> "Target":
        """Return the target as it is, but tuned in this mode; None changes nothing."""
        if mode is None:
            return self
        tune = self.config.tune.model_copy(update={"mode": mode})
        return replace(self, config=self.config.model_copy(update={"tune": tune}))

    @property
    def generations(self) -> Generations:
        """The generations of this target."""
        return Generations(self.store, self.name)

    @property
    def controls(self) -> Controls:
        """What the operator told this target's run."""
        flag = self.config.swap.postpone_flag
        return Controls(self.store, self.name, postpone_flag=flag, clock=self.clock)

    @contextmanager
    def owned(self) -> Iterator[Lease]:
        """Own the target for a cycle or a re-embedding. Raises LeaseHeldError."""
        ttl_s = self.config.swap.lease_ttl
        with hold_lease(self.store, self.name, ttl_s=ttl_s, sleep=self.sleep) as lease:
            self.generations.claim(lease.fencing)
            self.generations.reconcile(self.clock())
            yield lease

    def shared_vectors(self, fingerprint: str, index: str) -> Generation | None:
        """Return the live generation if an encoder's queries can search its vectors as they are.

        None for the live encoder itself: who asks for it again wants the documents embedded again.

        Args:
            fingerprint: of a registered encoder.
            index: that the target's name stands for.

        """
        live = self.generations.live()
        if live is None or live.index != index or live.fingerprint == fingerprint:
            return None
        same = self.encoders.get(fingerprint).space == self.encoders.get(live.fingerprint).space
        return live if same else None

    def need(self, fingerprint: str, *, in_place: bool = False) -> Need:
        """Return what a run of this encoder still has to write into the index as it is now.

        Args:
            fingerprint: of the encoder.
            in_place: whether live vectors may be searched as they are, where they can.

        """
        described = self.engine.describe(self.config.index)
        whole = Need(
            documents=described.documents,
            dimension=self.encoders.get(fingerprint).dimension,
            index_bytes=described.size_bytes,
            knn_engine=described.knn_engine,
        )
        if in_place and self.shared_vectors(fingerprint, described.index) is not None:
            return whole.after(described.documents)
        begun = self.generations.unfinished()
        if begun is None or begun.fingerprint != fingerprint:
            return whole
        try:
            done = self.engine.coverage(begun.index, begun.slot, begun.stamp_number)
            return whole.after(done.stamped)
        except (FieldMissingError, IndexMissingError):
            return whole

    def sample_for(self, generation: Generation, size: int | None = None) -> Sample:
        """Return what the proof encodes again: by the encoder itself, past the cache."""
        return Sample(
            encoder=self.encoders.get(generation.fingerprint),
            size=self.config.swap.verify_sample if size is None else size,
            seed=generation.number,
        )

    def encoder(self, fingerprint: str) -> CachedEncoder:
        """Return an encoder whose documents go through the cache."""
        return CachedEncoder(self.encoders.get(fingerprint), self.cache)

    def writer_for(
        self,
        generation: Generation,
        lease: Lease,
        *,
        patience: Callable[[], Patience] | None = None,
    ) -> EmbeddingWriter:
        """Return what writes a generation's slot under a lease.

        The text is rendered as the generation's own encoder was registered for, not as the
        configuration may say by now.

        Args:
            generation: whose slot and encoder.
            lease: asked before every write.
            patience: makes what one batch waits with while the engine is busy.

        """
        return EmbeddingWriter(
            engine=self.engine,
            store=self.store,
            generation=generation,
            encoder=self.encoder(generation.fingerprint),
            template=self.registry.get(generation.fingerprint).text_template,
            lease=lease,
            patience=patience,
            reached=self.reached,
        )
