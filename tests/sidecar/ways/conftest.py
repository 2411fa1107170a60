"""A target whose index stands behind an alias, on the memory engine or on a real node."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from desireline.connectors.documents import Document, digest
from desireline.connectors.engines.memory import MemoryEngine
from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.opensearch_client import Cluster, OpenSearchSettings, path
from desireline.connectors.search_engine import Read
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.cutover import CutOver
from desireline.sidecar.generations import State
from desireline.sidecar.lease import Lease
from desireline.sidecar.run import Run, open_run
from desireline.sidecar.steering.steps import Step
from desireline.sidecar.target import Target
from desireline.sidecar.ways.index_recovery import recover, retire_indexes
from desireline.sidecar.ways.index_way import begin_index, build_index, cut_over_index, revert_index
from desireline.sidecar.ways.write_block import WriteBlocks
from desireline.sidecar.writing.embedding_cache import EmbeddingCache
from desireline.trainer.encoders.fake import FakeEncoder

HOLD = timedelta(hours=12)


class Steps:
    """Keeps what a run told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def step(self, name: str, sentence: str, **_: object) -> None:
        self.told.append((name, sentence))
        print(name, sentence)

    def progress(self, name: str, done: int, total: int, **_: object) -> None:
        pass


@dataclass
class Shop:
    """An index of ten documents behind an alias, and the parts to embed it anew."""

    engine: Any
    folder: Path
    make_target: Callable[..., Target]
    alias: str = "products"
    index: str = "products-v1"
    config: dict[str, Any] = field(default_factory=dict)
    now: datetime = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)

    def __post_init__(self) -> None:
        self.store = MemoryStore()
        self.encoders = {
            e.fingerprint: e
            for e in (FakeEncoder(seed=0), FakeEncoder(seed=1), FakeEncoder(dimension=24, seed=2))
        }
        self.fingerprints = list(self.encoders)
        self.reporter = Steps()
        self.cache = EmbeddingCache(self.folder / "cache")
        #: Called at each step of a run.
        self.at: Callable[[Step], None] = lambda _: None

    @property
    def target(self) -> Target:
        return self.make_target(
            {"index": self.alias, "text": ["title", "description"]},
            swap=self.config,
            encoders=self.encoders,
            engine=self.engine,
            store=self.store,
            cache=self.cache,
            clock=lambda: self.now,
            reached=self.reach,
        )

    @property
    def blocks(self) -> WriteBlocks:
        return WriteBlocks(self.store, "jobs")

    @contextmanager
    def run(self, fingerprint: str | None = None) -> Iterator[Run]:
        """Own the target as a new process would, what the last one left behind mended first."""
        target = self.target
        with target.owned() as lease:
            self.mend(target, lease)
            chosen = fingerprint or self.fingerprints[0]
            with open_run(target, lease, self.reporter, fingerprint=chosen) as run:
                yield self.hasty(run)

    @staticmethod
    def mend(target: Target, lease: Lease) -> tuple[str, ...]:
        return (*recover(target, lease), *retire_indexes(target, lease))

    @staticmethod
    def hasty(run: Run) -> Run:
        """Wait for nothing by the clock."""
        from dataclasses import replace

        return replace(run, sleep=lambda _: None)

    def reindex(self, encoder: int = 0) -> CutOver:
        """Go the whole way, or on with what was interrupted."""
        fingerprint = self.fingerprints[encoder]
        with self.run(fingerprint) as run:
            unfinished = run.target.generations.unfinished()
            generation = unfinished or begin_index(run, fingerprint)
            if generation.state is State.BUILDING:
                generation = build_index(run, generation)
            return cut_over_index(run, generation, reason="test")

    def revert(self) -> CutOver:
        with self.run() as run:
            return revert_index(run, reason="test")

    def live(self) -> Any:
        return self.target.generations.live()

    def states(self) -> dict[int, State]:
        return {g.number: g.state for g in self.target.generations.all()}

    def reach(self, step: Step) -> None:
        """Ask anew at each step what happens there."""
        self.at(step)

    # The application.

    def put(self, **titles: str) -> None:
        self.engine.index_documents(
            self.alias, [Document(document_id=k, fields={"title": t}) for k, t in titles.items()]
        )

    def delete(self, *ids: str) -> None:
        self.engine.delete_documents(self.alias, list(ids))

    def titles(self) -> dict[str, str]:
        """Every document behind the alias, as the application sees it."""
        return {d.document_id: d.fields["title"] for d in self.documents()}

    def documents(self) -> list[Document]:
        live = self.live()
        slots = (live.slot,) if live else ()
        read = Read(fields=("title", "description"), slots=slots, embeddings=True)
        return [d for page in self.engine.scan(self.alias, read) for d in page]

    def is_whole(self) -> None:
        """Every document behind the alias carries the vector of its present text, and is found."""
        live = self.live()
        assert self.engine.alias_state(self.alias).index == live.index
        encoder = self.encoders[live.fingerprint]
        for document in self.documents():
            text = self.target.config.template.render(document.fields)
            stamp = document.stamps[live.slot]
            assert (stamp.generation, stamp.digest) == (live.number, digest(text))
            assert document.embeddings[live.slot].shape == (live.dimension,)
            query = encoder.encode_queries([text])[0]
            hits = self.engine.search_vectors(
                live.index, live.slot, query, 3, generation=live.number
            )
            assert document.document_id in [hit.document_id for hit in hits]


@pytest.fixture
def memory_shop(tmp_path: Path, make_target: Callable[..., Target]) -> Shop:
    """A shop in memory."""
    shop = Shop(engine=MemoryEngine(), folder=tmp_path, make_target=make_target)
    shop.engine.create_index(shop.index, ["title", "description"])
    shop.engine.add_alias(shop.alias, shop.index)
    shop.put(**{f"d{n}": f"job {n}" for n in range(10)})
    return shop


@pytest.fixture
def cluster(opensearch_url: str) -> Iterator[Cluster]:
    """Requests to the real node, as the application would send them."""
    cluster = Cluster(OpenSearchSettings(url=opensearch_url))
    yield cluster
    cluster.close()


@pytest.fixture
def node_shop(
    tmp_path: Path,
    opensearch_url: str,
    index_prefix: str,
    cluster: Cluster,
    make_target: Callable[..., Target],
) -> Iterator[Shop]:
    """A shop on a real node: two shards, an analyser of its own."""
    engine = OpenSearchEngine(OpenSearchSettings(url=opensearch_url))
    shop = Shop(
        engine=engine,
        folder=tmp_path,
        make_target=make_target,
        alias=f"{index_prefix}products",
        index=f"{index_prefix}products-v1",
    )
    body = {
        "settings": {
            "index.knn": True,
            "number_of_shards": 2,
            "number_of_replicas": 0,
            "analysis": {"analyzer": {"plain": {"type": "custom", "tokenizer": "standard"}}},
        },
        "mappings": {
            "_meta": {"owner": "shop"},
            "properties": {"title": {"type": "text", "analyzer": "plain"}},
        },
        "aliases": {shop.alias: {}},
    }
    cluster.call("PUT", path(shop.index), body=body)
    shop.put(**{f"d{n}": f"job {n}" for n in range(10)})
    yield shop
    engine.close()


@pytest.fixture(params=["memory", pytest.param("opensearch", marks=pytest.mark.opensearch)])
def shop(request: pytest.FixtureRequest) -> Shop:
    """Both."""
    name = "memory_shop" if request.param == "memory" else "node_shop"
    made: Shop = request.getfixturevalue(name)
    return made
