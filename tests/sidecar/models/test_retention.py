"""What serves, may serve again or is trained from stays; the rest goes, the oldest first."""

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from desireline.connectors.documents import TextTemplate
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.generations import Generations, State
from desireline.sidecar.models.retention import sweep
from desireline.sidecar.reports.cycle_report import Diary, Outcome
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.writing.embedding_cache import EmbeddingCache
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.registry import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    days = count()
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return Registry(tmp_path / "models", now=lambda: start + timedelta(days=next(days)))


def test_idle_encoders_go_but_the_newest_and_all_in_use_stay(
    added, registry: Registry, exported_static: Path, tmp_path: Path
) -> None:
    base = added(registry, exported_static, "base")
    tuned = [added(registry, exported_static, f"night{n}", parent=base) for n in range(6)]
    store, cache = MemoryStore(), EmbeddingCache(tmp_path / "cache")
    for fingerprint in tuned:
        cache.put(fingerprint, {"d" * 64: np.ones(4, np.float32)})
    generations = Generations(store, "jobs")
    for fingerprint, state in ((tuned[0], State.LIVE), (tuned[1], State.RETIRED)):
        generation = generations.create(
            index="jobs",
            slot="embedding__a",
            dimension=16,
            similarity="cosine",
            fingerprint=fingerprint,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        generations.change(generation, state=state)
    assert sorted(sweep(store, registry, cache)) == sorted(tuned[1:3])
    left = {manifest.fingerprint for manifest in registry.list()}
    assert left == {base, tuned[0], *tuned[3:]}
    assert cache.get(tuned[1], ["d" * 64]) == {}
    assert "d" * 64 in cache.get(tuned[0], ["d" * 64])
    assert sweep(store, registry, cache) == []


def test_the_encoder_of_the_documents_stays_as_long_as_a_query_side_model_that_stays(
    added, registry: Registry, exported_static: Path, tmp_path: Path
) -> None:
    base = added(registry, exported_static, "title")
    documents = registry.add(
        exported_static,
        template=TextTemplate(fields=("title",), separator=" | "),
        similarity="cosine",
        provenance=Provenance(base_model="base", parent=base),
    )
    queries = registry.add(
        exported_static,
        template=documents.text_template,
        similarity="cosine",
        provenance=Provenance(base_model="base", parent=base, mode="query"),
        documents=documents.fingerprint,
    )
    for n in range(3):
        added(registry, exported_static, f"night{n}", parent=base)
    store, cache = MemoryStore(), EmbeddingCache(tmp_path / "cache")
    generation = Generations(store, "jobs").create(
        index="jobs",
        slot="embedding__a",
        dimension=16,
        similarity="cosine",
        fingerprint=queries.fingerprint,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert sweep(store, registry, cache) == []
    Generations(store, "jobs").change(generation, state=State.RETIRED)
    assert sweep(store, registry, cache) == [queries.fingerprint, documents.fingerprint]


def test_what_a_cycle_made_stays_while_it_is_choosing(
    added, registry: Registry, exported_static: Path, tmp_path: Path
) -> None:
    base = added(registry, exported_static, "base")
    store, cache = MemoryStore(), EmbeddingCache(tmp_path / "cache")
    diary = Diary(store, "jobs", SilentReporter(), lambda: datetime(2026, 1, 1, tzinfo=UTC))
    rung = registry.add(
        exported_static,
        template=TextTemplate(fields=("rung",)),
        similarity="cosine",
        provenance=Provenance(base_model="base", parent=base, cycle_id=diary.cycle),
    ).fingerprint
    newer = [added(registry, exported_static, f"newer{n}", parent=base) for n in range(3)]
    assert sweep(store, registry, cache) == []
    diary.end(Outcome.KEPT_INCUMBENT, "no better")
    assert sweep(store, registry, cache) == [rung]
    assert {manifest.fingerprint for manifest in registry.list()} == {base, *newer}
