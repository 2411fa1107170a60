"""A small world: an index with a few documents, a store, and encoders that need no model."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from desireline.connectors.documents import Document, TextTemplate
from desireline.connectors.engines.memory import MemoryEngine
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.backfill import BackfillReport, backfill
from desireline.sidecar.catchup import catch_up
from desireline.sidecar.configuration.target import TargetConfig
from desireline.sidecar.cutover import CutOver, cut_over
from desireline.sidecar.generations import Generation, Generations, State
from desireline.sidecar.judging.evidence import HeldOutTruth
from desireline.sidecar.learning.documents_alone import Teaching
from desireline.sidecar.lease import Lease, acquire
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.serving.encoders import EncoderPool
from desireline.sidecar.target import Target
from desireline.sidecar.writing.embedding_cache import CachedEncoder, EmbeddingCache
from desireline.sidecar.writing.embedding_writer import EmbeddingWriter
from desireline.sidecar.writing.patience import Patience
from desireline.trainer.documents.catalogue import Catalogue
from desireline.trainer.encoders.base import Encoder
from desireline.trainer.encoders.fake import FakeEncoder
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.pairs import Pair, Passage, merge
from desireline.trainer.sessions import to_sessions

INDEX = "occupations"


@dataclass
class World:
    """The parts of one target, without a configuration."""

    folder: Path
    engine: MemoryEngine = field(default_factory=MemoryEngine)
    store: MemoryStore = field(default_factory=MemoryStore)
    now: datetime = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
    template: TextTemplate = field(
        default_factory=lambda: TextTemplate(fields=("title", "description"))
    )

    def __post_init__(self) -> None:
        self.encoders = {
            encoder.fingerprint: encoder for encoder in (FakeEncoder(seed=0), FakeEncoder(seed=1))
        }
        self.cache = EmbeddingCache(self.folder)
        self.generations = Generations(self.store, "jobs")

    def clock(self) -> datetime:
        return self.now

    def fill(self, count: int) -> None:
        """Be the application: create the index and write documents."""
        self.engine.create_index(INDEX, ["title", "description"])
        self.engine.index_documents(
            INDEX,
            [
                Document(
                    document_id=f"d{n}",
                    fields={"title": f"job {n}", "description": f"does thing {n}", "level": n},
                )
                for n in range(count)
            ],
        )

    def lease(self) -> Lease:
        return acquire(self.store, "jobs", ttl_s=3600.0)

    def begin(self, seed: int, slot: str) -> Generation:
        """Create a generation that is about to be built."""
        encoder = FakeEncoder(seed=seed)
        generation = self.generations.create(
            index=INDEX,
            slot=slot,
            dimension=encoder.dimension,
            similarity=encoder.similarity,
            fingerprint=encoder.fingerprint,
            created_at=self.now,
        )
        self.engine.prepare_slot(INDEX, generation.vector_slot)
        fence = self.engine.fence(INDEX).to_json()
        return self.generations.change(generation, started_at_fence=fence)

    def writer(self, generation: Generation, lease: Lease) -> EmbeddingWriter:
        return EmbeddingWriter(
            engine=self.engine,
            store=self.store,
            generation=generation,
            encoder=CachedEncoder(self.encoders[generation.fingerprint], self.cache),
            template=self.template,
            lease=lease,
            patience=lambda: Patience(600, check=lease.check, sleep=lambda _: None),
        )

    def backfill(self, writer: EmbeddingWriter, batch_size: int = 3) -> BackfillReport:
        return backfill(self.engine, writer, batch_size=batch_size, reporter=SilentReporter())

    def put_live(self, seed: int, slot: str, lease: Lease) -> CutOver:
        """Build a generation and swap it in."""
        generation = self.begin(seed, slot)
        writer = self.writer(generation, lease)
        self.backfill(writer)
        caught_up = catch_up(self.engine, INDEX, generation.fence, [writer])
        generation = self.generations.change(
            generation, state=State.READY, caught_up=caught_up.fence.to_json()
        )
        return cut_over(
            self.generations,
            generation,
            lease=lease,
            hold=timedelta(hours=12),
            reason="test",
            clock=self.clock,
        )


class Told:
    """A reporter that keeps every sentence."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []

    def step(self, name: str, sentence: str, **_: object) -> None:
        self.steps.append((name, sentence))

    def progress(self, *_: object, **__: object) -> None:
        pass

    def said(self, name: str) -> list[str]:
        return [sentence for each, sentence in self.steps if each == name]


@pytest.fixture
def told() -> Told:
    """What a run told; nothing yet."""
    return Told()


@pytest.fixture
def make_target() -> Callable[..., Target]:
    """Give the maker of targets named `jobs` on parts of the test's own.

    Their encoders come by fingerprint from a mapping; there is no worker and no log.
    """

    def make(
        config: Mapping[str, object], *, encoders: Mapping[str, Encoder], **parts: Any
    ) -> Target:
        swap = {"batch_size": 3, "lease_ttl": "1h", **parts.pop("swap", {})}
        checked = TargetConfig.model_validate({**config, "swap": swap})
        return Target(
            name="jobs",
            config=checked,
            registry=SimpleNamespace(  # type: ignore[arg-type]
                get=lambda _: SimpleNamespace(text_template=checked.template)
            ),
            encoders=EncoderPool(encoders.__getitem__, keep=8),
            worker=None,  # type: ignore[arg-type]
            log_source=None,
            **parts,
        )

    return make


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An index of ten documents and nothing built yet."""
    world = World(folder=tmp_path / "cache")
    world.fill(10)
    return world


class InThisProcess:
    """Does what the child process does, here; keeps what it was asked for."""

    def __init__(self) -> None:
        self.jobs = []
        self.catalogues = []

    def run(self, job, reporter):
        from desireline.trainer.worker import run

        self.jobs.append(job)
        if job.catalogue is not None:
            self.catalogues.append(Catalogue.read(job.catalogue))
        return run(job, io.StringIO())


class Shop:
    """An index of eight words, and users who mean some of them by words that tell nothing."""

    words = ("red", "blue", "shoe", "running", "garden", "nurse", "software", "engineer")
    #: What users mean by a word that the encoder knows nothing of.
    meant: ClassVar = {"cm": "garden", "in": "nurse", "for": "shoe", "and": "red"}

    @property
    def documents(self) -> list[Document]:
        return [Document(document_id=w, fields={"title": f"the {w} of 42"}) for w in self.words]

    @property
    def teaching(self) -> Teaching:
        asked = [*self.meant.items(), *((word, word) for word in self.words)]
        pairs = [
            Pair(anchor=query, positive=Passage(word, f"the {word} of 42"), source="t")
            for query, word in asked
        ]
        qrels = {
            f"{query} {more}".strip(): {word: 1.0}
            for query, word in self.meant.items()
            for more in ("", "the", "of")
        }
        truth = HeldOutTruth(qrels=qrels, segments=dict.fromkeys(qrels, "tail"))
        return Teaching(pairs=merge(pairs, {}), truth=truth, sessions=to_sessions(()))

    def worker(self) -> InThisProcess:
        return InThisProcess()

    def base_in(self, parts, exported: Path) -> str:
        """Register an encoder as the base; return its fingerprint."""
        provenance = Provenance(base_model="tiny", mode="base")
        template = parts.config.template
        return parts.registry.add(
            exported, template=template, similarity="cosine", provenance=provenance
        ).fingerprint


@pytest.fixture
def shop() -> Shop:
    """What a target of tiny encoders holds and learns from."""
    return Shop()
