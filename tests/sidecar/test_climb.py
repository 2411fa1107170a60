"""Up the whole ladder with encoders so small that nobody waits; then the kept rung serves."""

import dataclasses
import itertools
from collections import Counter
from contextlib import closing

import pytest

from desireline.sidecar.building import put_live
from desireline.sidecar.config import load_config
from desireline.sidecar.ladder import Hopefuls, find_candidate
from desireline.sidecar.reports.cycle_report import Diary
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.training import Start
from desireline.sidecar.wiring import open_sidecar

pytest.importorskip("torch", reason="needs desireline[trainer]")
CONFIG = """
[cluster]
engine = "lancedb"
[targets.shop]
index = "shop"
text = ["title"]
model = "tiny"
[targets.shop.gate]
measure = "mrr@10"
margin = 0.0
min_queries = 4
general = false
[targets.shop.tune]
mode = "auto"
epsilon = 0.99
[targets.shop.tune.fit]
max_steps = 40
epochs = 100
batch_documents = 8
learning_rate = 0.05
precision = "float32"
adapter = { epochs = 60, learning_rate = 0.05 }
query = { epochs = 60, learning_rate = 0.05 }
"""


class Listening(SilentReporter):
    """Counts how often each kind of progress was told."""

    def __init__(self) -> None:
        self.told = Counter()

    def progress(self, name: str, done: int, total: int, **keys: object) -> None:
        self.told[name] += 1


@pytest.fixture
def parts(tmp_path, shop):
    path = tmp_path / "desireline.toml"
    path.write_text(CONFIG)
    with closing(open_sidecar(load_config(path))) as sidecar:
        parts = sidecar.parts("shop")
        parts.engine.create_index("shop", ["title"])
        parts.engine.index_documents("shop", shop.documents)
        yield dataclasses.replace(parts, worker=shop.worker())


def test_the_cheapest_good_rung_serves_and_no_document_is_embedded_again(
    parts, exported_static, shop
):
    base = shop.base_in(parts, exported_static)
    ticks = itertools.count()
    with parts.owned() as lease:
        put_live(parts, base, lease, SilentReporter(), reason="the first")
        before = parts.engine.fence("shop")
        listening = Listening()
        diary = Diary(parts.store, parts.name, listening, parts.clock)
        hopefuls = Hopefuls(
            start=Start.of(parts, base=base, incumbent=base), incumbent=base, gate=None
        )
        found = find_candidate(
            parts, shop.teaching, hopefuls, diary, clock=lambda: float(next(ticks))
        )
        ladder = diary.report.ladder
        assert [rung.mode for rung in ladder.rungs] == ["adapter", "query", "lora", "full"]
        assert [rung.mode for rung in ladder.rungs if rung.kept] == ["adapter"], ladder.sentence
        assert listening.told["bm25"] == len(shop.teaching.truth.queries), (
            "asked once for all rungs"
        )
        assert found.promote
        assert found.candidate == ladder.rungs[0].candidate == diary.report.candidate
        assert ladder.sentence in found.reason
        assert "no layers" in ladder.rungs[2].reason
        assert (ladder.rungs[0].embed_documents, ladder.rungs[3].embed_documents) == (0, 8)

        put_live(parts, found.candidate, lease, SilentReporter(), reason=found.reason)
    live = parts.generations.live()
    assert (live.fingerprint, live.way, live.vectors_of) == (found.candidate, "query", 1)
    assert parts.engine.fence("shop") == before
    manifest = parts.registry.get(found.candidate)
    assert (manifest.documents, manifest.provenance.mode) == (base, "adapter")
