"""Query-side models of a real registry go live over the vectors that are there, int8 forms too."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from desireline.connectors.documents import Document
from desireline.connectors.engines.memory import MemoryEngine
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.building import put_live
from desireline.sidecar.configuration.target import TargetConfig
from desireline.sidecar.generations import Generation
from desireline.sidecar.models.retention import sweep
from desireline.sidecar.on_request.quantising import unjudged
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.serving.encoders import pool_over
from desireline.sidecar.target import Target
from desireline.sidecar.writing.embedding_cache import EmbeddingCache
from desireline.trainer.encoders.settings import EncoderSettings, Prompts
from desireline.trainer.forms.quantise import quantise
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.registry import Registry

CONFIG = TargetConfig.model_validate({"index": "products", "text": ["title"]})


class Shop:
    """Three documents, embedded by a registered encoder, with another query encoder beside it."""

    def __init__(self, folder: Path, exported: Path) -> None:
        self.registry = Registry(folder / "models")
        engine = MemoryEngine()
        engine.create_index("products", ["title"])
        titles = ("red shoe", "blue running shoe", "software engineer")
        engine.index_documents(
            "products",
            [Document(document_id=f"d{n}", fields={"title": t}) for n, t in enumerate(titles)],
        )
        self.target = Target(
            name="jobs",
            config=CONFIG,
            engine=engine,
            store=MemoryStore(),
            registry=self.registry,
            cache=EmbeddingCache(folder / "cache"),
            encoders=pool_over(self.registry, threads=1, keep=8),
            worker=None,  # type: ignore[arg-type]
            log_source=None,
            clock=lambda: datetime(2026, 11, 21, 2, 0, tzinfo=UTC),
            sleep=lambda _: None,
        )
        shutil.copytree(exported, folder / "queries")
        settings = EncoderSettings.read(exported)
        settings.model_copy(update={"prompts": Prompts(query="asked: ")}).write(folder / "queries")
        self.full = self.add(exported)
        self.tuned = self.add(folder / "queries", self.full)

    def add(self, folder: Path, documents: str | None = None) -> str:
        return self.registry.add(
            folder,
            template=CONFIG.template,
            similarity="cosine",
            provenance=Provenance(base_model="tiny", parent="0" * 64 if documents else None),
            documents=documents,
        ).fingerprint

    def go(self, fingerprint: str) -> Generation:
        with self.target.owned() as lease:
            put_live(self.target, fingerprint, lease, SilentReporter(), reason="the test")
        live = self.target.generations.live()
        assert live is not None
        return live


@pytest.fixture
def shop(tmp_path: Path, exported_bert: Path) -> Shop:
    shop = Shop(tmp_path, exported_bert)
    shop.go(shop.full)
    return shop


def test_the_int8_form_of_a_live_query_encoder_goes_over_the_same_vectors(shop: Shop) -> None:
    shop.go(shop.tuned)
    rough = quantise(shop.registry, shop.tuned).fingerprint
    assert "only after the gate" in "; ".join(unjudged(shop.target, rough))
    live = shop.go(rough)
    assert (live.number, live.way, live.stamp_number) == (3, "query", 1)


def test_a_query_encoder_does_not_bring_unjudged_int8_documents_with_it(
    shop: Shop, tmp_path: Path
) -> None:
    rough = quantise(shop.registry, shop.full).fingerprint
    over_rough = shop.add(tmp_path / "queries", rough)
    assert rough[:12] in "; ".join(unjudged(shop.target, over_rough))
    assert unjudged(shop.target, shop.tuned) == ()
    assert shop.go(rough).way == "slot"
    assert unjudged(shop.target, over_rough) == (), "its documents serve already"


def test_what_serves_and_what_embedded_its_documents_is_in_memory_once(shop: Shop) -> None:
    encoders = shop.target.encoders
    shop.go(shop.tuned)
    encoders.get(shop.tuned).encode_documents(["red shoe"])
    whole, towers = encoders.get(shop.full), encoders.get(shop.tuned)
    assert towers.stats is whole.stats  # type: ignore[attr-defined]
    assert sweep(shop.target.store, shop.registry, shop.target.cache) == []
