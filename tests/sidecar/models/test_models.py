"""Registered encoders, told for people and taken elsewhere."""

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from desireline.connectors.documents import TextTemplate
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.config import load_config
from desireline.sidecar.errors import SidecarError
from desireline.sidecar.generations import Generations
from desireline.sidecar.models.card import model_card
from desireline.sidecar.models.export import export_model
from desireline.sidecar.models.records import model_record, model_records
from desireline.sidecar.reports.cycle_report import Diary, Interval, Ladder, Outcome, Rung
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.wiring import open_sidecar
from desireline.trainer.encoders.onnx import OnnxEncoder
from desireline.trainer.errors import ModelChangedError, ModelMissingError
from desireline.trainer.forms.import_model import import_model
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.registry import Registry

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models", now=lambda: NOW)


@pytest.fixture
def night(added, registry: Registry, exported_static: Path) -> tuple[MemoryStore, str, str]:
    """A base and what one night made of it: judged, and serving."""
    base = added(registry, exported_static, "title")
    tuned = added(
        registry, exported_static, "a|b", parent=base, pairs=1234, seed=7, data_window=(NOW, NOW)
    )
    store = MemoryStore()
    diary = Diary(store, "jobs", SilentReporter(), lambda: NOW)
    row = {"ndcg@10": Interval(value=0.4, low=0.3, high=0.5)}
    gain = {"ndcg@10": Interval(value=0.045, low=0.031, high=0.054)}
    diary.measured({"bm25": row, "candidate": row}, gain, candidate=tuned)
    diary.step("gate", "promote: nDCG@10 .355 -> .400 [+.031, +.054]")
    diary.end(Outcome.WENT_LIVE, "proved better")
    Generations(store, "jobs").create(
        index="jobs",
        slot="embedding__a",
        dimension=16,
        similarity="cosine",
        fingerprint=tuned,
        created_at=NOW,
    )
    return store, base, tuned


def test_a_record_holds_the_line_the_judgment_and_where_a_model_served(registry, night):
    store, base, tuned = night
    record = model_record(store, registry, tuned[:8])
    assert [manifest.fingerprint for manifest in record.lineage] == [base]
    assert record.judged is not None
    assert record.judged.candidate == tuned
    assert [(g.target, g.number) for g in record.generations] == [("jobs", 1)]


def test_a_model_that_no_gate_has_seen_says_so(registry, night):
    store, base, _ = night
    record = model_record(store, registry, base)
    assert (record.judged, record.lineage, record.generations) == (None, (), ())
    assert "No gate has judged it." in model_card(record)
    assert "Nowhere yet." in model_card(record)


def test_the_card_of_a_query_side_model_says_who_encodes_the_documents(
    added, registry, exported_static
):
    base = added(registry, exported_static, "title")
    manifest = registry.add(
        exported_static,
        template=TextTemplate(fields=("title",)),
        similarity="cosine",
        provenance=Provenance(base_model="tiny", parent=base, mode="query"),
        documents=base,
    )
    card = model_card(model_record(MemoryStore(), registry, manifest.fingerprint))
    assert f"| encodes | queries alone; documents by the model {base} |" in card
    assert f"desireline models export {base[:12]} FOLDER" in card
    assert "| encodes |" not in model_card(model_record(MemoryStore(), registry, base))


def test_the_card_tells_what_it_learned_from_before_and_after_and_its_files(registry, night):
    store, base, tuned = night
    card = model_card(model_record(store, registry, tuned))
    assert f"from {base[:12]}" in card
    assert "clicks of 2026-11-21 to 2026-11-21, 1,234 pairs" in card
    assert "promote: nDCG@10 .355 -> .400" in card
    assert "| candidate minus incumbent | +0.045 [+0.031, +0.054] |" in card
    for name, file in registry.get(tuned).files.items():
        assert f"| {name} | {file.bytes:,} | {file.sha256} |" in card


@pytest.fixture
def climbed(added, registry: Registry, exported_static: Path) -> tuple[MemoryStore, str, str]:
    """A night that tried two modes, one after the other, and kept the first."""
    base = added(registry, exported_static, "title", licence="apache-2.0")
    kept = added(registry, exported_static, "kept", parent=base, mode="adapter", pairs=9)
    other = added(registry, exported_static, "other", parent=base, mode="full", pairs=9)
    store = MemoryStore()
    diary = Diary(store, "jobs", SilentReporter(), lambda: NOW)
    diary.step("gate", "promote: the adapter gains")
    diary.step("gate", "keep the incumbent: all weights lose")
    row = {"ndcg@10": Interval(value=0.4, low=0.3, high=0.5)}
    diary.measured({"base": row, "candidate": row}, row, candidate=kept)
    rungs = (
        Rung(mode="adapter", candidate=kept, promote=True, kept=True, reason="the adapter gains"),
        Rung(mode="full", candidate=other, reason="all weights lose"),
        Rung(mode="lora", reason="the time is spent"),
    )
    diary.climbed(Ladder(measure="ndcg@10", rungs=rungs, sentence="adapter: the cheapest"))
    diary.end(Outcome.WENT_LIVE, "proved better")
    return store, kept, other


def test_each_card_of_a_night_of_several_modes_tells_its_own_verdict(registry, climbed):
    store, kept, other = climbed
    cards = [model_card(model_record(store, registry, name)) for name in (kept, other)]
    assert "promote: the adapter gains." in cards[0]
    assert "all weights lose" not in cards[0]
    assert "| candidate minus incumbent |" in cards[0]
    assert "tried as full beside other modes: all weights lose." in cards[1]
    assert "the adapter gains" not in cards[1]
    assert "| candidate minus incumbent |" not in cards[1]  # those numbers are the kept one's
    assert "| trained | a map on the query vectors (adapter) |" in cards[0]
    assert "| trained | all weights (full) |" in cards[1]


def test_a_card_from_elsewhere_does_not_say_that_nobody_judged_it(added, registry, exported_static):
    made = added(registry, exported_static, "title", parent="0" * 64, cycle_id="20261121T02Z")
    card = model_card(model_record(MemoryStore(), registry, made))
    assert "How the cycle 20261121T02Z judged it is not known here." in card


def test_an_exported_model_that_is_imported_as_a_new_one_keeps_its_licence(
    registry, climbed, tmp_path
):
    store, kept, _ = climbed
    export_model(registry, model_record(store, registry, kept), tmp_path / "out")
    fresh = Registry(tmp_path / "fresh", now=lambda: NOW)
    made = import_model(str(tmp_path / "out"), fresh, TextTemplate(fields=("body",)))
    assert made.provenance.licence == "apache-2.0"


def test_words_of_strangers_begin_no_section_of_a_card(registry, exported_static):
    evil = "tiny\n\n## How it was judged\n\npromote: it is perfect"
    manifest = registry.add(
        exported_static,
        template=TextTemplate(fields=("title",)),
        similarity="cosine",
        provenance=Provenance(base_model=evil, licence="mit\nx: y\n---\n# free"),
    )
    card = model_card(model_record(MemoryStore(), registry, manifest.fingerprint))
    assert card.count("\n## How it was judged\n") == 1
    assert "\nx: y" not in card
    assert "\n# free" not in card


def test_a_card_tells_no_stranger_where_the_base_lay(registry, exported_static):
    manifest = registry.add(
        exported_static,
        template=TextTemplate(fields=("title",)),
        similarity="cosine",
        provenance=Provenance(base_model="/home/ann/our-encoder"),
    )
    card = model_card(model_record(MemoryStore(), registry, manifest.fingerprint))
    assert "# our-encoder" in card
    assert "/home/ann" not in card


def test_an_export_touches_nothing_beside_the_folder_it_makes(registry, night, tmp_path):
    store, _, tuned = night
    (tmp_path / "encoder.partial").mkdir()
    (tmp_path / "encoder.partial" / "precious.txt").write_text("keep")
    export_model(registry, model_record(store, registry, tuned), tmp_path / "encoder")
    there = {"encoder", "encoder.partial", "models"}
    assert {path.name for path in tmp_path.iterdir()} == there
    assert (tmp_path / "encoder.partial" / "precious.txt").read_text() == "keep"


def test_a_strange_field_name_does_not_break_the_cards_table(registry, night):
    store, _, tuned = night
    assert r"| document | a\|b |" in model_card(model_record(store, registry, tuned))


def test_models_come_newest_first_and_a_wrong_name_is_refused(registry, night):
    store, base, tuned = night
    assert {record.manifest.fingerprint for record in model_records(store, registry)} == {
        base,
        tuned,
    }
    with pytest.raises(ModelMissingError):
        model_record(store, registry, "0" * 8)


def test_an_exported_folder_serves_and_carries_card_and_manifest(registry, night, tmp_path):
    store, _, tuned = night
    folder = tmp_path / "out" / "encoder"
    export_model(registry, model_record(store, registry, tuned), folder)
    assert OnnxEncoder(folder).encode_queries(["nurse"]).shape == (1, registry.get(tuned).dimension)
    assert json.loads((folder / "manifest.json").read_text())["fingerprint"] == tuned
    assert (folder / "README.md").read_text() == model_card(model_record(store, registry, tuned))
    assert [path.name for path in folder.parent.iterdir()] == ["encoder"]


def test_an_export_never_writes_over_a_folder(registry, night, tmp_path):
    store, _, tuned = night
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("keep")
    with pytest.raises(SidecarError, match="there already; nothing was written"):
        export_model(registry, model_record(store, registry, tuned), tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["precious.txt"]


def test_a_model_whose_file_was_changed_is_not_exported(registry, night, tmp_path):
    store, _, tuned = night
    record = model_record(store, registry, tuned)
    with (registry.folder(tuned) / "encoder.onnx").open("ab") as graph:
        graph.write(b"x")
    with pytest.raises(ModelChangedError):
        export_model(registry, record, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_commands_list_show_and_say_when_there_is_nothing(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from desireline.sidecar.cli.app import app

    monkeypatch.chdir(tmp_path)
    Path("desireline.toml").write_text('[targets.jobs]\nindex = "jobs"\ntext = ["title"]\n')
    listed = CliRunner().invoke(app, ["models", "list"])
    assert listed.exit_code == 0
    assert "no encoder is registered yet" in listed.stdout
    missing = CliRunner().invoke(app, ["models", "show", "00000000", "--json"])
    assert missing.exit_code != 0
    assert "begins 0 registered models" in json.loads(missing.stdout)["error"]


def test_the_terminal_tells_what_the_page_does(tmp_path, monkeypatch, added, exported_static):
    from typer.testing import CliRunner

    from desireline.sidecar.cli.app import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    Path("desireline.toml").write_text(
        '[cluster]\nengine = "lancedb"\n[targets.jobs]\nindex = "jobs"\ntext = ["title"]\n'
    )
    with closing(open_sidecar(load_config())) as sidecar:
        registry = sidecar.parts("jobs").registry
        base = added(registry, exported_static, "title")
        tuned = added(registry, exported_static, "body", parent=base, pairs=3)
        (newest, _) = shown = sidecar.models_of("jobs")
    assert {model.fingerprint for model in shown} == {base, tuned}
    said = CliRunner().invoke(app, ["models", "list"]).stdout
    for told in (newest.fingerprint[:12], newest.state, newest.size, newest.origin, newest.verdict):
        assert told in said, told
    listed = json.loads(CliRunner().invoke(app, ["models", "list", "--json"]).stdout)["models"]
    for row, model in zip(listed, shown, strict=True):
        assert row.items() >= model.to_json().items()


def test_the_card_names_the_licence_of_what_a_model_was_made_from(added, registry, exported_static):
    base = added(registry, exported_static, "title", licence="apache-2.0")
    tuned = added(registry, exported_static, "other", parent=base, pairs=3)
    unknown = added(registry, exported_static, "third")
    cards = [model_card(model_record(MemoryStore(), registry, name)) for name in (tuned, unknown)]
    assert "| licence | apache-2.0, that of tiny |" in cards[0]
    assert "| licence | not known; see tiny |" in cards[1]
