"""A cycle that climbs: the cheapest mode that helps serves, and the report tells of that one."""

from desireline.sidecar.models.card import model_card
from desireline.sidecar.reports.cycle_report import Outcome
from desireline.trainer.simulation.users import SimulationConfig

TARGET = "jobs"
LADDER = f"""[targets.{TARGET}.gate]
general = false
max_push = 1.0
max_lost_titles = 1.0
[targets.{TARGET}.tune]
modes = ["full", "adapter"]
"""


def test_a_cycle_keeps_one_rung_and_tells_what_it_changes(make_product, silent):
    product = make_product(extra=LADDER)
    product.fill()
    product.sidecar.reindex(TARGET, None, silent)
    product.users_click(SimulationConfig(searches=8_000, seed=3))
    assert product.parts.config.tune.mode == "full"
    report = product.sidecar.tune(TARGET, silent, mode="auto")
    assert report.outcome is Outcome.WENT_LIVE, report.sentence
    adapter, full = report.ladder.rungs
    assert (adapter.mode, full.mode) == ("adapter", "full"), "cheapest first, as nobody wrote it"
    assert "a query encoder, for which nothing is embedded" in adapter.reason
    assert "a query encoder" not in full.reason
    (kept,) = [rung for rung in report.ladder.rungs if rung.kept]
    live = product.parts.generations.live()
    assert live.fingerprint == kept.candidate == report.candidate
    assert report.gain["ndcg@10"].value == kept.gain.value

    tells_its_story(product, report, kept)
    changes = report.changes
    assert changes.wins
    assert all(example.gain > 0 for example in changes.wins)
    assert all(example.gain < 0 for example in changes.losses)
    shown = product.sidecar.last_cycle(TARGET)
    assert shown["changes"] == changes.model_dump(mode="json")
    assert report.clicks.effective > 0
    best = changes.wins[0]
    _, found = product.sidecar.search(TARGET, best.query, 10)
    assert [hit.document_id for hit in found] == [answer.document_id for answer in best.after]


def tells_its_story(product, report, kept) -> None:
    """The card of what was promoted names its line, its data, its judgment and its files."""
    record = product.sidecar.model(report.candidate)
    card = model_card(record)
    (base,) = record.lineage
    made = record.manifest.provenance
    first, last = made.data_window
    for told in (
        f"promote: {kept.reason}",
        f"cycle {report.cycle}",
        f"({kept.mode}) |",
        f" from {base.fingerprint[:12]} (",
        f"clicks of {first:%Y-%m-%d} to {last:%Y-%m-%d}, {made.pairs:,} pairs",
        f"{TARGET}: generation {report.generation}, live",
        "| licence | ",
        *(f"| {ranker} | " for ranker in ("bm25", "base", "incumbent", "candidate")),
    ):
        assert told in card, told
    gain = report.gain["ndcg@10"]
    assert f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]" in card
