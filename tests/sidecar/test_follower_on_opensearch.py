"""The follower on a real cluster: refreshes spared, names moved, indexes made again (inv. 19)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from desireline.connectors.documents import Document, TextTemplate
from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.errors import IndexMissingError
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.cutover import cut_over
from desireline.sidecar.follower import Follower
from desireline.sidecar.generations import Generation, Generations, State
from desireline.sidecar.lease import Lease, acquire
from desireline.sidecar.verify import inspect
from desireline.sidecar.writing.embedding_cache import CachedEncoder, EmbeddingCache
from desireline.sidecar.writing.embedding_writer import EmbeddingWriter
from desireline.trainer.encoders.fake import FakeEncoder

pytestmark = pytest.mark.opensearch

TEMPLATE = TextTemplate(fields=("title",))


class Shop:
    """An alias over one index, generation 1 retained in slot a and generation 2 live in slot b."""

    def __init__(self, url: str, alias: str, folder: Path) -> None:
        self.alias, self.index = alias, f"{alias}-1"
        self.client = OpenSearch(url, timeout=60)
        # The application leaves visibility to the cluster, and the cluster refreshes never.
        self.engine = OpenSearchEngine(OpenSearchSettings(url=url), visible_at_once=False)
        self.store = MemoryStore()
        self.generations = Generations(self.store, "shop")
        self.cache = EmbeddingCache(folder)
        self.encoders = {e.fingerprint: e for e in (FakeEncoder(seed=0), FakeEncoder(seed=1))}
        self.lease = acquire(self.store, "shop", ttl_s=3600)
        self.seconds = 1000.0
        self.create(self.index, alias)
        self.put(**{f"d{n}": f"job {n}" for n in range(12)})
        for encoder, slot in zip(self.encoders.values(), ("emb__a", "emb__b"), strict=True):
            self.build(encoder, slot)
        self.follower = Follower(
            engine=self.engine,
            generations=self.generations,
            writer_for=self.writer,
            clock=self.clock,
            caught_up=lambda *_: None,
            index=alias,
            monotonic=lambda: self.seconds,
        )

    def create(self, index: str, alias: str | None = None) -> None:
        settings = {"index.knn": True, "number_of_shards": 2, "refresh_interval": "-1"}
        body: dict[str, Any] = {"settings": settings | {"number_of_replicas": 0}}
        if alias:
            body["aliases"] = {alias: {}}
        self.client.indices.create(index=index, body=body)

    def clock(self) -> datetime:
        return datetime(2026, 11, 21, tzinfo=UTC)

    def put(self, **titles: str) -> None:
        self.engine.index_documents(
            self.alias, [Document(document_id=k, fields={"title": t}) for k, t in titles.items()]
        )

    def build(self, encoder: FakeEncoder, slot: str) -> None:
        generation = self.generations.create(
            index=self.index,
            slot=slot,
            dimension=encoder.dimension,
            similarity=encoder.similarity,
            fingerprint=encoder.fingerprint,
            created_at=self.clock(),
        )
        self.engine.prepare_slot(self.index, generation.vector_slot)
        fence = self.engine.fence(self.index).to_json()
        writer = self.writer(generation, self.lease)
        for documents in self.engine.scan(self.index, writer.read):
            writer.write(writer.stale(documents))
        ready = self.generations.change(generation, state=State.READY, caught_up=fence)
        cut_over(
            self.generations,
            ready,
            lease=self.lease,
            hold=timedelta(hours=1),
            reason="test",
            clock=self.clock,
        )

    def writer(self, generation: Generation, lease: Lease) -> EmbeddingWriter:
        return EmbeddingWriter(
            engine=self.engine,
            store=self.store,
            generation=generation,
            encoder=CachedEncoder(self.encoders[generation.fingerprint], self.cache),
            template=TEMPLATE,
            lease=lease,
        )

    def follow(self) -> int:
        self.seconds += 11
        return self.follower.follow_once(self.lease)

    def refreshes(self) -> int:
        stats = self.client.indices.stats(index=self.index, metric="refresh")
        return int(stats["_all"]["primaries"]["refresh"]["external_total"])

    def proofs(self) -> list[Any]:
        return [
            inspect(self.engine, self.store, generation, TEMPLATE)
            for generation in self.generations.all()
            if generation.state in {State.LIVE, State.RETAINED}
        ]

    def assert_fresh(self, documents: int) -> None:
        """Both slots hold every document, by the proof's own enumeration."""
        proofs = self.proofs()
        assert len(proofs) == 2
        for proof in proofs:
            assert proof.clean, proof.sentence
            assert (proof.documents, proof.stamped, proof.waiting) == (documents, documents, 0)


@pytest.fixture
def shop(opensearch_url: str, index_prefix: str, tmp_path: Path) -> Iterator[Shop]:
    built = Shop(opensearch_url, f"{index_prefix}shop", tmp_path / "cache")
    yield built
    built.engine.close()
    built.client.close()


def test_rounds_in_which_nothing_was_written_do_not_refresh_the_index(shop: Shop) -> None:
    while shop.follow():
        pass
    shop.follow()
    before = shop.refreshes()
    assert [shop.follow() for _ in range(5)] == [0] * 5
    assert shop.refreshes() == before
    shop.put(new="beekeeper", d2="lighthouse keeper")
    assert shop.follow() == 4
    assert shop.refreshes() > before
    shop.assert_fresh(13)


def test_deletes_and_edits_between_rounds_leave_both_slots_fresh(shop: Shop) -> None:
    shop.follow()
    shop.engine.delete_documents(shop.alias, ["d1", "d2"])
    shop.engine.update_fields(shop.alias, "d3", {"title": "edited"})
    shop.put(d4="", new="new")
    shop.follow()
    shop.assert_fresh(11)


def test_an_index_made_again_under_its_name_gets_its_slots_and_vectors_back(shop: Shop) -> None:
    shop.follow()
    shop.client.indices.delete(index=shop.index)
    with pytest.raises(IndexMissingError):
        shop.follow()
    shop.create(shop.index, shop.alias)
    shop.put(**{f"n{n}": f"new {n}" for n in range(5)})
    assert shop.follow() == 10
    shop.assert_fresh(5)


def test_an_alias_moved_by_somebody_else_is_told_in_one_sentence(shop: Shop) -> None:
    shop.follow()
    assert shop.follower.notices == ()
    shop.create(f"{shop.alias}-2")
    actions = [
        {"remove": {"index": shop.index, "alias": shop.alias}},
        {"add": {"index": f"{shop.alias}-2", "alias": shop.alias}},
    ]
    shop.client.indices.update_aliases(body={"actions": actions})
    shop.put(elsewhere="somewhere else")
    assert shop.follow() == 0
    (notice,) = shop.follower.notices
    assert f"stands for {shop.alias}-2 now, but generation 2 is in {shop.index}" in notice
    shop.assert_fresh(12)
