"""An int8 form of the live encoder serves after the gate has passed it, and never before."""

import pytest

from desireline.sidecar.errors import BackfillError, NoGenerationError
from desireline.sidecar.reports.cycle_report import Outcome
from desireline.trainer.simulation.users import SimulationConfig

TARGET = "jobs"
USERS = SimulationConfig(searches=12_000, seed=3)


@pytest.fixture
def product(make_product):
    """A product served by MiniLM in fp32, with clicks on what it shows."""

    def make(extra: str = ""):
        product = make_product(model="minilm", extra=extra)
        product.fill()
        return product

    return make


def test_int8_goes_live_by_the_gate_and_by_nothing_else(product, silent) -> None:
    made = product()
    with pytest.raises(NoGenerationError):
        made.sidecar.quantise(TARGET, silent)
    made.sidecar.reindex(TARGET, None, silent)
    fp32 = made.parts.generations.live().fingerprint
    (made.folder / "clicks.ndjson").touch()
    report = made.sidecar.quantise(TARGET, silent)
    assert report.outcome is Outcome.NOTHING_TO_DO, "nothing serves unjudged"
    made.users_click(USERS)
    report = made.sidecar.quantise(TARGET, silent)
    assert report.outcome is Outcome.WENT_LIVE, report.sentence
    assert report.measures.keys() >= {"candidate", "incumbent"}
    names = [step.name for step in report.steps]
    assert names.index("quantise") < names.index("parity") < names.index("gate")
    live = made.parts.generations.live()
    assert made.parts.registry.get(live.fingerprint).provenance.parent == fp32
    assert made.parts.engine.coverage("jobs", live.slot, live.number).complete
    again = made.sidecar.quantise(TARGET, silent, end_hold=True)
    assert again.outcome is Outcome.NOTHING_TO_DO
    made.sidecar.revert(TARGET)
    assert made.parts.generations.live().fingerprint == fp32
    refused = made.sidecar.plan(TARGET, live.fingerprint, end_hold=True).refusals
    assert any("only after the gate" in sentence for sentence in refused)
    with pytest.raises(BackfillError, match="only after the gate"):
        made.sidecar.reindex(TARGET, live.fingerprint, silent, end_hold=True)
    assert made.parts.generations.live().fingerprint == fp32


def test_where_nothing_may_get_worse_int8_is_kept_out(product, silent) -> None:
    made = product("[targets.jobs.gate]\ncheaper_tolerance = 0.0\n")
    made.sidecar.reindex(TARGET, None, silent)
    made.users_click(USERS)
    report = made.sidecar.quantise(TARGET, silent)
    assert report.outcome is Outcome.KEPT_INCUMBENT, report.sentence
    assert made.parts.generations.live().number == 1


@pytest.mark.slow
def test_a_form_that_finds_other_answers_is_kept_out_before_the_gate_is_asked(
    product, silent
) -> None:
    made = product("[targets.jobs.gate]\nint8_overlap = 0.999\n")
    made.sidecar.reindex(TARGET, None, silent)
    made.users_click(USERS)
    report = made.sidecar.quantise(TARGET, silent)
    assert report.outcome is Outcome.KEPT_INCUMBENT, report.sentence
    assert "too far from what it was made from" in report.sentence
    assert "the overlap of the first 10" in report.sentence
    assert "is below 0.999" in report.sentence
    assert [step.name for step in report.steps][-1] == "parity"
    assert made.parts.generations.live().number == 1
