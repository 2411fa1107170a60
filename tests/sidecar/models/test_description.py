"""What is told of a model: its state in words, its line, and which models are a target's."""

from datetime import UTC, datetime

import pytest

from desireline.sidecar.errors import EncoderUnknownError
from desireline.sidecar.generations import Generation, State
from desireline.sidecar.models.card import model_card
from desireline.sidecar.models.description import ModelDescription, described, find
from desireline.sidecar.models.records import ModelRecord
from desireline.sidecar.reports.cycle_report import CycleReport, Outcome, Rung, Step
from desireline.trainer.encoders.settings import EncoderSettings, Prompts
from desireline.trainer.models.manifest import FileRecord, Manifest, Provenance, Template

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
BASE, TUNED, OTHER = "ba5e" * 16, "7ded" * 16, "07e6" * 16


def manifest(name=BASE, *, settings=None, **made) -> Manifest:
    return Manifest(
        fingerprint=name,
        files={"encoder.onnx": FileRecord(sha256="0" * 64, bytes=69_000_000)},
        settings=settings or EncoderSettings(pooling="mean", dimension=16),
        template=Template(fields=("title",), separator=". "),
        provenance=Provenance(**{"base_model": "tiny", **made}),
        created_at=NOW,
    )


def generation(name, number, state, target="jobs") -> Generation:
    return Generation(
        target=target,
        number=number,
        state=state,
        index="jobs",
        slot="embedding__a",
        dimension=16,
        similarity="cosine",
        fingerprint=name,
        created_at=NOW,
    )


def report(outcome, gate="", target="jobs") -> CycleReport:
    steps = (Step(name="gate", sentence=gate, at=NOW),) if gate else ()
    return CycleReport(
        target=target, cycle="20261122", outcome=outcome, started_at=NOW, steps=steps, reason="why"
    )


def record(name=BASE, **told) -> ModelRecord:
    told = {"lineage": (), "judged": None, "generations": (), **told}
    made = told.pop("made", {})
    return ModelRecord(manifest=manifest(name, **made), **told)


def tuned(name=TUNED, **told) -> ModelRecord:
    return record(name, made={"parent": BASE, "mode": "full"}, lineage=(manifest(),), **told)


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"generations": (generation(TUNED, 1, "retired"), generation(TUNED, 4, "live"))}, "live"),
        ({"generations": (generation(TUNED, 2, "failed"),)}, "failed"),
        ({"judged": report(Outcome.KEPT_INCUMBENT)}, "refused"),
        ({"judged": report(Outcome.RUNNING, "keep the incumbent: worse")}, "refused"),
        ({"judged": report(Outcome.FAILED, "promote: better")}, "would pass"),
        (
            {
                "tried": (
                    report(Outcome.WENT_LIVE),
                    Rung(mode="full", reason="better", promote=True),
                )
            },
            "would pass",
        ),
        ({"tried": (report(Outcome.WENT_LIVE), Rung(mode="full", reason="worse"))}, "refused"),
        ({}, "not judged"),
    ],
)
def test_a_model_is_in_the_state_of_its_generation_or_what_the_gate_said(told, state) -> None:
    assert ModelDescription(record=tuned(**told)).state == state


def test_every_state_of_a_generation_is_the_state_of_a_model() -> None:
    for state in State:
        told = tuned(generations=(generation(TUNED, 1, state),))
        assert ModelDescription(record=told).state == state.value


def test_the_line_begins_with_the_first_model_and_names_one_that_is_gone() -> None:
    whole = ModelDescription(record=tuned()).line
    assert [(each.fingerprint, each.mode) for each in whole] == [(BASE, "base"), (TUNED, "full")]
    orphan = ModelDescription(record=record(TUNED, made={"parent": BASE})).line
    assert [each.fingerprint for each in orphan] == [BASE, TUNED]
    assert orphan[0].made_at is None


def test_a_line_that_bites_its_tail_ends() -> None:
    told = ModelDescription(record=record(TUNED, made={"parent": TUNED}))
    assert [each.fingerprint for each in told.line] == [TUNED]


def test_a_target_has_its_own_models_their_parents_and_those_of_nobody() -> None:
    records = [
        tuned(generations=(generation(TUNED, 2, "live"),)),
        record(OTHER, generations=(generation(OTHER, 1, "live", target="films"),)),
        record(generations=(generation(BASE, 9, "live", target="films"),)),
        record("f" * 64),
    ]
    names = [model.fingerprint for model in described(records, "jobs")]
    assert names == [TUNED, BASE, "f" * 64]
    assert described(records, "jobs")[1].state == "not judged", "it is live for another target"
    assert [model.fingerprint for model in described(records, "films")] == [OTHER, BASE, "f" * 64]


def test_a_model_is_found_by_its_digits_or_by_a_generation_of_this_target() -> None:
    models = described(
        [tuned(generations=(generation(TUNED, 2, "live"),)), record("07e60000" * 8), record()],
        "jobs",
    )
    assert find(models, "7ded7ded").fingerprint == TUNED
    assert find(models, "2").fingerprint == TUNED
    for wrong in ("3", "7ded", "", "ba5eba5f", "../../etc", "²"):
        with pytest.raises(EncoderUnknownError):
            find(models, wrong)


def test_programs_get_what_the_card_tells() -> None:
    told = tuned(
        generations=(generation(TUNED, 2, "live"),),
        judged=report(Outcome.WENT_LIVE, "promote: better"),
    )
    body = ModelDescription(record=told).to_json()
    assert (body["state"], body["verdict"], body["bytes"]) == (
        "live",
        "promote: better",
        69_000_000,
    )
    assert body["lineage"] == [BASE]
    card = model_card(told)
    for name, text in body["facts"].items():
        assert f"| {name} | {text} |" in card


def test_one_pair_is_one_pair_and_a_base_that_lay_in_a_folder_keeps_its_place_to_itself() -> None:
    made = {"parent": BASE, "pairs": 1, "base_model": "/home/ann/encoder"}
    body = ModelDescription(record=record(TUNED, made=made)).to_json()
    assert body["facts"]["learned from"] == "documents alone, 1 pair"
    assert "/home" not in str(body)


def test_what_a_stranger_wrote_is_no_html_and_no_link_in_a_card() -> None:
    evil = "<img src=x onerror=alert(1)> [free](javascript:alert(2)) | x"
    settings = EncoderSettings(pooling="mean", dimension=16, prompts=Prompts(query=evil))
    card = model_card(record(made={"base_model": evil, "licence": evil, "settings": settings}))
    assert "<img" not in card
    assert "](javascript" not in card
    assert "onerror" in card, "it is shown, as text"
