"""A cycle that has no reason to change anything changes nothing and says why."""

import random
import shutil
from dataclasses import replace

import pytest

from desireline.connectors.documents import Document
from desireline.connectors.errors import DesirelineError
from desireline.connectors.search_engine import Slot
from desireline.sidecar import cycle
from desireline.sidecar.errors import BackfillError, LeaseHeldError
from desireline.sidecar.lease import hold_lease
from desireline.sidecar.reports.cycle_report import Outcome
from desireline.trainer.pairs import PairSet
from desireline.trainer.simulation.users import SimulationConfig

TARGET = "jobs"


def serving(product) -> tuple[int, str]:
    live = product.parts.generations.live()
    return live.number, live.fingerprint


@pytest.fixture
def product(make_product, silent):
    product = make_product()
    product.fill()
    product.sidecar.reindex(TARGET, None, silent)
    return product


def test_shuffled_pairs_are_refused_by_the_gate_and_change_nothing(product, silent, monkeypatch):
    product.users_click(SimulationConfig(searches=20_000, seed=5))
    before = serving(product)
    mine = cycle.mine_pairs

    def sabotage(*args) -> PairSet:
        found = mine(*args)
        positives = [pair.positive for pair in found.pairs]
        random.Random(0).shuffle(positives)
        return replace(
            found,
            pairs=tuple(
                replace(pair, positive=positive)
                for pair, positive in zip(found.pairs, positives, strict=True)
            ),
        )

    monkeypatch.setattr(cycle, "mine_pairs", sabotage)
    report = product.sidecar.tune(TARGET, silent)
    assert report.outcome is Outcome.KEPT_INCUMBENT
    assert "lower bound is not above .010" in report.reason
    assert report.measures["candidate"]["mrr@10"].value < report.measures["base"]["mrr@10"].value
    assert serving(product) == before
    assert len(product.parts.generations.all()) == 1


def test_an_empty_log_ends_with_nothing_to_do(product, silent):
    (product.folder / "clicks.ndjson").write_text("")
    report = product.sidecar.tune(TARGET, silent)
    assert report.outcome is Outcome.NOTHING_TO_DO
    assert "too few clicks to learn from, 0 of" in report.reason


def test_one_click_ends_with_nothing_to_do(product, silent):
    (product.folder / "clicks.ndjson").write_text(
        '{"type":"query","query_id":"q","text":"cook","client":"c","at":"2026-01-31T09:00:00Z",'
        '"shown":["35-2014.00"]}\n'
        '{"type":"click","query_id":"q","document_id":"35-2014.00","position":1,"client":"c",'
        '"at":"2026-01-31T09:00:04Z"}\n'
    )
    report = product.sidecar.tune(TARGET, silent)
    assert report.outcome is Outcome.NOTHING_TO_DO
    assert "too few clicks to learn from, 1 of" in report.reason


def test_a_missing_log_fails_with_a_sentence_and_the_next_cycle_can_run(product, silent):
    with pytest.raises(DesirelineError):
        product.sidecar.tune(TARGET, silent)
    assert product.sidecar.last_cycle(TARGET)["outcome"] == "failed"
    (product.folder / "clicks.ndjson").write_text("")
    assert product.sidecar.tune(TARGET, silent).outcome is Outcome.NOTHING_TO_DO


def test_a_second_tune_is_refused_while_one_runs(product, silent):
    with (
        hold_lease(product.parts.store, TARGET, ttl_s=30),
        pytest.raises(LeaseHeldError, match="is being worked on"),
    ):
        product.sidecar.tune(TARGET, silent)


def test_clicks_of_unknown_searches_teach_nothing_and_are_counted(product, silent):
    (product.folder / "clicks.ndjson").write_text(
        "".join(
            f'{{"type":"click","query_id":"lost{n}","document_id":"35-2014.00","position":1,'
            f'"client":"c{n}","at":"2026-01-31T09:00:04Z"}}\n'
            for n in range(80)
        )
    )
    report = product.sidecar.tune(TARGET, silent)
    assert report.outcome is Outcome.NOTHING_TO_DO
    assert "too few clicks to learn from, 0 of" in report.reason
    health = product.sidecar.pull_logs(TARGET)
    assert health.defects["events of unknown queries"] == 80


def test_an_index_without_the_text_field_is_refused_before_anything_is_written(
    make_product, silent
):
    product = make_product()
    engine = product.parts.engine
    engine.create_index(product.index, ["name"])
    engine.index_documents(product.index, [Document(document_id="1", fields={"name": "cook"})])
    with pytest.raises(BackfillError, match="text field 'title' is not in the mapping"):
        product.sidecar.tune(TARGET, silent)
    assert product.parts.generations.all() == []
    assert engine.describe(product.index).slots == {}


def test_an_encoder_of_another_dimension_is_refused_for_a_slot_that_exists(
    product, silent, tiny_bert
):
    before = serving(product)
    product.parts.engine.prepare_slot(product.index, Slot(name="embedding__b", dimension=256))
    with pytest.raises(BackfillError, match="has dimension 256 and the encoder 32"):
        product.sidecar.reindex(TARGET, str(tiny_bert), silent)
    assert serving(product) == before


@pytest.mark.parametrize("model", ["missing", "pickled"])
def test_a_model_that_cannot_be_trusted_is_refused_and_what_serves_stays(
    product, silent, tiny_static, tmp_path, model
):
    before = serving(product)
    folder = tmp_path / "model"
    if model == "pickled":
        shutil.copytree(tiny_static, folder)
        (folder / "pytorch_model.bin").write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(DesirelineError, match="model"):
        product.sidecar.reindex(TARGET, str(folder), silent)
    assert serving(product) == before
    assert product.sidecar.last_cycle(TARGET)["outcome"] == "failed"
