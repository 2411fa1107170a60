"""No candidate that the gate refuses is ever served: a few of each kind.

`make bench NAME=gate` judges all of them; see `tests/benchmarks/gate.py`.
"""

import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs desireline[trainer]")
pytest.importorskip("wordllama", reason="its word vectors are the base encoder")
sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from gating.cycles import cycle_with, keep_log
from gating.repeats import same_pairs, same_weights
from gating.saboteurs import Material, sabotages
from gating.town import Town

SEARCHES = 20_000
#: Training each takes longer than judging it; the benchmark has them all.
TAUGHT = {"shuffled labels", "truncated training", "few learned by heart"}
EACH = {each.kind: each for each in sabotages([1]) if each.kind not in TAUGHT}


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """A town whose people clicked for a while, and the honest candidate of that log."""
    with ExitStack() as stack:
        town = Town(folder=tmp_path_factory.mktemp("town"), stack=stack)
        night = town.night(town.base, searches=SEARCHES, seed=1)
        pairs = town.pairs(night)
        honest = town.tuned(pairs, seed=1)
        keep_log(town, searches=6_000, seed=1)
        yield Material(town=town, night=night, pairs=pairs, honest=honest)


def test_the_honest_candidate_is_promoted(material):
    verdict, report = material.town.judged(material.honest, material.town.base, material.night)
    assert verdict.promote, verdict.reason
    assert material.town.true_gain(material.honest, material.town.base)[1] > 0
    cells = {f"{q} query, {d} document" for q in ("seen", "unseen") for d in ("seen", "unseen")}
    parts = {"head", "torso", "tail", "newest searches", "topic 1 of 8", *cells}
    assert parts <= set(report.parts)
    assert {"general suite, keywords", "general suite, titles"} <= set(report.parts)
    assert "general suite, jobs" not in report.parts, "its documents are the target's own"
    assert set(report.measures["candidate"]) == set(report.measures["base"])
    assert set(report.measures["bm25"]) < set(report.measures["candidate"])


@pytest.mark.parametrize("kind", sorted(EACH))
def test_what_was_sabotaged_is_refused_with_its_reason(material, kind):
    sabotage = EACH[kind]
    candidate = sabotage.make(material, sabotage.strength, sabotage.seed)
    verdict, _ = material.town.judged(candidate, material.town.base, material.night)
    assert not verdict.promote, verdict.reason
    assert verdict.obstacles[0] in verdict.reason


@pytest.mark.parametrize("make", [same_weights, same_pairs])
def test_the_incumbent_again_is_not_promoted(material, make):
    verdict, _ = material.town.judged(make(material, 1), material.honest, material.night)
    assert not verdict.promote, verdict.reason


@pytest.mark.parametrize("kind", ["sleeper", "forgotten ability"])
def test_after_a_whole_cycle_whose_training_was_sabotaged_the_same_serves(material, kind):
    sabotage = EACH[kind]
    candidate = sabotage.make(material, sabotage.strength, sabotage.seed)
    ended = cycle_with(material, kind, candidate)
    assert ended.outcome == "kept incumbent", ended.reason
    assert not ended.served
