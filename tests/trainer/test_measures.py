import ir_measures
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.trainer.errors import UnknownMeasureError
from desireline.trainer.measures.average_precision import AveragePrecision
from desireline.trainer.measures.base import parse
from desireline.trainer.measures.hit import Hit
from desireline.trainer.measures.ndcg import Ndcg
from desireline.trainer.measures.recall import Recall
from desireline.trainer.measures.reciprocal_rank import ReciprocalRank

ORACLE = {"mrr": "RR@{}", "recall": "R@{}", "map": "AP@{}", "ndcg": "nDCG@{}", "hit": "Success@{}"}
DOCUMENTS = [f"d{number}" for number in range(12)]


@pytest.mark.parametrize("name", sorted(ORACLE))
@settings(deadline=None)
@given(
    ranked=st.lists(st.sampled_from(DOCUMENTS), unique=True, max_size=12),
    grades=st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(0, 3), min_size=1),
    cutoff=st.integers(1, 14),
)
def test_every_measure_agrees_with_ir_measures(name, ranked, grades, cutoff):
    measure = parse(f"{name}@{cutoff}")
    run = {"q": {document_id: 100.0 - place for place, document_id in enumerate(ranked)}}
    theirs = ir_measures.parse_measure(ORACLE[name].format(cutoff))
    expected = ir_measures.calc_aggregate([theirs], {"q": grades}, run)[theirs] if ranked else 0
    assert measure.value(ranked, grades) == pytest.approx(expected)


@pytest.mark.parametrize(
    "measure", [ReciprocalRank(20), Recall(10), AveragePrecision(10), Ndcg(10), Hit(20)]
)
def test_a_measure_is_a_value_that_prints_and_parses(measure):
    assert parse(str(measure)) == measure
    assert {measure: 1}[parse(str(measure).upper())] == 1
    assert measure.label.endswith(f"@{measure.cutoff}")


@pytest.mark.parametrize("name", ["mrr", "mrr@0", "mrr@-1", "err@10", "", "ndcg@ten"])
def test_an_unknown_measure_is_refused_with_the_known_ones(name):
    with pytest.raises(UnknownMeasureError) as refused:
        parse(name)
    assert "mrr" in refused.value.next_step


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_the_best_order_has_an_ndcg_of_one(grades):
    truth = {DOCUMENTS[place]: grade for place, grade in enumerate(grades)}
    best = sorted(truth, key=lambda document_id: -truth[document_id])
    assert Ndcg(10).value(best, truth) == pytest.approx(1.0 if any(grades) else 0.0)
