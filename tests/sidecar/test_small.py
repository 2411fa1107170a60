"""A compact encoder, taught by one tuned the same night, is judged and goes live as any other."""

import dataclasses
from contextlib import closing

import pytest

from desireline.connectors.documents import Document
from desireline.sidecar.building import put_live
from desireline.sidecar.config import load_config
from desireline.sidecar.ladder import Hopefuls, find_candidate
from desireline.sidecar.models.card import model_card
from desireline.sidecar.models.records import ModelRecord
from desireline.sidecar.reports.cycle_report import Diary
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.training import Start, train
from desireline.sidecar.wiring import open_sidecar
from desireline.trainer.jobs import AUTO

pytest.importorskip("torch", reason="needs desireline[trainer]")
CONFIG = """
[cluster]
engine = "{engine}"
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
mode = "small"
[targets.shop.tune.fit]
max_steps = 30
epochs = 100
batch_documents = 8
learning_rate = 0.05
precision = "float32"
[targets.shop.tune.fit.small]
kind = "static"
teacher = "{teacher}"
vocabulary = 200
passes = 5
learning_rate = 0.02
tuning_passes = 100
tuning_learning_rate = 0.02
{more}
"""


@pytest.fixture
def make_parts(tmp_path, exported_static, shop):
    """Open a target whose index holds eight documents and an empty one; the base is live."""
    closing_soon = []

    def make(*, teacher="full", more="", engine="lancedb"):
        path = tmp_path / "desireline.toml"
        path.write_text(CONFIG.format(teacher=teacher, more=more, engine=engine))
        sidecar = open_sidecar(load_config(path))
        closing_soon.append(sidecar)
        parts = dataclasses.replace(sidecar.parts("shop"), worker=shop.worker())
        parts.engine.create_index("shop", ["title"])
        empty = Document(document_id="empty", fields={"title": ""})
        parts.engine.index_documents("shop", [*shop.documents, empty])
        return parts, shop.base_in(parts, exported_static)

    yield make
    for sidecar in closing_soon:
        with closing(sidecar):
            pass


def diary_of(parts) -> Diary:
    return Diary(parts.store, parts.name, SilentReporter(), parts.clock)


@pytest.mark.parametrize(("more", "dimension"), [("", 16), ("dimension = 8", 8)])
def test_it_is_judged_and_goes_live_whatever_the_length_of_its_vectors(
    make_parts, shop, more, dimension
):
    parts, base = make_parts(more=more)
    with parts.owned() as lease:
        put_live(parts, base, lease, SilentReporter(), reason="the first")
        hopefuls = Hopefuls(
            start=Start.of(parts, base=base, incumbent=base), incumbent=base, gate=None
        )
        found = find_candidate(parts, shop.teaching, hopefuls, diary_of(parts))
        assert found.promote, found.reason
        put_live(parts, found.candidate, lease, SilentReporter(), reason=found.reason)
    live = parts.generations.live()
    assert live.fingerprint == found.candidate
    full, small = parts.worker.jobs
    assert (full.config.mode, small.config.mode) == ("full", "small")
    manifest = parts.registry.get(found.candidate)
    assert (manifest.provenance.mode, manifest.dimension) == ("small", dimension)
    teacher = parts.registry.get(manifest.provenance.teacher)
    assert (teacher.provenance.mode, teacher.provenance.parent) == ("full", base)
    assert manifest.provenance.parent == base
    vector = parts.encoders.get(live.fingerprint).encode_queries(["cm"])[0]
    hits = parts.engine.search_vectors(
        live.index, live.slot, vector, 1, generation=live.stamp_number
    )
    assert hits[0].document_id == "garden"


def test_it_reads_every_document_that_has_text_and_no_other(make_parts, shop):
    parts, base = make_parts(teacher="none")
    start = Start.of(parts, base=base, incumbent=base)
    train(parts, shop.teaching, start, diary_of(parts), mode="small", budget_s=None)
    (catalogue,) = parts.worker.catalogues
    assert sorted(catalogue.documents) == sorted(shop.words)
    assert catalogue.documents["red"].text == "the red of 42"


INTENT = """
intent_weight = {weight}
[targets.shop.intent]
category = "{field}"
"""


@pytest.mark.parametrize(
    ("weight", "field", "known"), [(0.5, "kind", 8), (0.0, "kind", 0), (0.5, "nowhere", 0)]
)
def test_it_is_told_the_categories_of_documents_where_they_are_to_count(
    make_parts, shop, weight, field, known
):
    parts, base = make_parts(teacher="none", more=INTENT.format(weight=weight, field=field))
    for word in shop.words:
        parts.engine.update_fields("shop", word, {"kind": ["long" if len(word) > 4 else "short"]})
    start = Start.of(parts, base=base, incumbent=base)
    train(parts, shop.teaching, start, diary_of(parts), mode="small", budget_s=None)
    (catalogue,) = parts.worker.catalogues
    assert len(catalogue.categories) == known
    assert catalogue.categories.get("red", ("short",)) == ("short",)


def test_what_its_teachers_training_took_is_part_of_its_cost_and_of_its_budget(make_parts, shop):
    parts, base = make_parts()
    start = Start.of(parts, base=base, incumbent=base)
    candidate = train(parts, shop.teaching, start, diary_of(parts), mode="small", budget_s=900.0)
    full, small = parts.worker.jobs
    assert full.config.budget_s == 450.0
    assert 450.0 < small.config.budget_s < 900.0
    assert candidate.seconds >= round(900.0 - small.config.budget_s, 1)


@pytest.mark.parametrize("teacher", ["full", "base", "none"])
def test_its_card_names_the_teacher(make_parts, shop, teacher):
    parts, base = make_parts(teacher=teacher)
    start = Start.of(parts, base=base, incumbent=base)
    candidate = train(parts, shop.teaching, start, diary_of(parts), mode="small", budget_s=None)
    manifest = parts.registry.get(candidate.fingerprint)
    named = manifest.provenance.teacher
    card = model_card(ModelRecord(manifest=manifest, lineage=(), judged=None, generations=()))
    assert (
        "taught by | no model" if teacher == "none" else f"taught by | the model {named[:12]}"
    ) in card
    assert (named == base) is (teacher == "base")


def test_a_teacher_never_is_what_serves(make_parts, shop):
    """A chain of small encoders would hand on what people did beyond the window of the log."""
    parts, base = make_parts(teacher="base")
    first = train(
        parts,
        shop.teaching,
        Start.of(parts, base=base, incumbent=base),
        diary_of(parts),
        mode="small",
        budget_s=None,
    ).fingerprint
    start = Start.of(parts, base=base, incumbent=first)
    train(parts, shop.teaching, start, diary_of(parts), mode="small", budget_s=None)
    assert parts.worker.jobs[-1].provenance.teacher == base


def test_auto_leaves_it_to_whoever_asks_for_it_by_name():
    assert "small" not in AUTO
