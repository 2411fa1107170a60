import numpy as np
import pytest

from desireline.trainer.clickmodels.base import ClickNoise
from desireline.trainer.evaluation import compare, evaluate, evaluate_clicks
from desireline.trainer.gate import GateConfig, GateEvidence, decide
from desireline.trainer.judging.click_truth import corrected_qrels, estimate_noise
from desireline.trainer.measures.hit import Hit
from desireline.trainer.measures.ndcg import Ndcg
from desireline.trainer.measures.reciprocal_rank import ReciprocalRank
from desireline.trainer.sessions import to_sessions
from desireline.trainer.simulation.users import SimulationConfig, simulate

QUERIES = [f"query {number}" for number in range(600)]
DOCUMENTS = [f"d{number}" for number in range(10)]
DRAW = np.random.default_rng(0)
TRUTH = {query: {str(DRAW.choice(DOCUMENTS))} for query in QUERIES}


def ranking(query, skill, seed):
    """Put the right document at the top with this chance, and the rest in any order."""
    random = np.random.default_rng([seed, QUERIES.index(query)])
    order = [str(each) for each in random.permutation(DOCUMENTS)]
    if random.random() < skill:
        right = next(iter(TRUTH[query]))
        order = [right, *(each for each in order if each != right)]
    return order


def run(skill, seed):
    return {query: ranking(query, skill, seed) for query in QUERIES}


SHOWN, BETTER, WORSE = run(0.5, 1), run(0.7, 2), run(0.3, 3)
TRUE_QRELS = {query: dict.fromkeys(names, 1.0) for query, names in TRUTH.items()}


@pytest.fixture(scope="module")
def sessions():
    config = SimulationConfig(searches=4_000, shown=10, zipf=0.3, bots=0)
    return to_sessions(simulate(QUERIES, TRUTH, lambda queries: SHOWN, config).batches)


def compared(run, qrels, measure, by=evaluate_clicks):
    return compare(by(run, qrels, [measure]), by(SHOWN, qrels, [measure]))


MEASURES = [ReciprocalRank(10), Ndcg(10), Hit(3)]


def test_how_users_look_and_err_is_learned_from_the_log(sessions):
    noise = estimate_noise(sessions)
    assert noise.accident == pytest.approx(0.04, abs=0.02)
    assert noise.relevant == pytest.approx(0.85, abs=0.1)
    looked = [noise.examination[position] for position in range(1, 11)]
    np.testing.assert_allclose(looked, np.arange(1.0, 11) ** -0.6, atol=0.1)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("other", [BETTER, WORSE])
def test_gains_measured_on_corrected_clicks_are_the_true_ones(sessions, other, measure):
    qrels = corrected_qrels(sessions, estimate_noise(sessions))
    found = compared(other, qrels, measure).of(measure)
    true = compared(other, TRUE_QRELS, measure, evaluate).of(measure)
    assert found.gain.low < true.gain.mean < found.gain.high
    assert found.gain.mean == pytest.approx(true.gain.mean, abs=0.07)
    assert found.incumbent == pytest.approx(true.incumbent, abs=0.07)


def test_the_gate_sees_what_raw_clicks_hide(sessions):
    """The better ranking was never shown, so raw clicks favour the one that was."""
    measure = ReciprocalRank(10)
    corrected = corrected_qrels(sessions, estimate_noise(sessions))
    raw = {
        query: {name: 1.0 for name, grade in grades.items() if grade > 0}
        for query, grades in corrected.items()
    }
    hidden = compared(BETTER, raw, measure, evaluate).of(measure).gain.mean
    true = compared(BETTER, TRUE_QRELS, measure, evaluate).of(measure).gain.mean
    assert hidden < 0.6 * true
    better, worse = (
        decide(
            GateEvidence(comparison=compared(each, corrected, measure)),
            GateConfig(measure=str(measure)),
        )
        for each in (BETTER, WORSE)
    )
    assert better.promote
    assert not worse.promote


def test_a_click_far_down_says_more_and_a_skip_says_little(log):
    log.search("coffee", "ab", "b")
    noise = ClickNoise(examination={1: 1.0, 2: 0.5}, accident=0.1, relevant=0.6)
    qrels = corrected_qrels(to_sessions(log.batches()), noise)
    assert qrels["coffee"] == pytest.approx({"a": -0.2, "b": (2 - 0.1) / 0.5})


def test_clicks_alone_still_make_a_truth(log):
    log.act("", "a", text="Coffee")
    sessions = to_sessions(log.batches())
    noise = estimate_noise(sessions)
    assert corrected_qrels(sessions, noise)["coffee"]["a"] > 0.9
    assert corrected_qrels(to_sessions([]), estimate_noise(to_sessions([]))) == {}


@pytest.mark.parametrize("measure", MEASURES)
def test_on_a_certain_truth_with_one_answer_both_ways_to_measure_agree(measure):
    one, other = (by(BETTER, TRUE_QRELS, [measure]) for by in (evaluate, evaluate_clicks))
    assert one.queries == other.queries
    np.testing.assert_allclose(one.values[measure], other.values[measure])
    assert one.interval(measure) == other.interval(measure)


def test_a_sample_of_the_queries_is_the_same_for_the_same_seed(sessions):
    noise = estimate_noise(sessions)
    one, two = (corrected_qrels(sessions, noise, most=50, seed=4) for _ in range(2))
    assert one == two
    assert len(one) == 50


def test_a_log_without_clicks_proves_nothing(log):
    for number in range(40):
        log.search(f"query {number}", "ab")
    sessions = to_sessions(log.batches())
    qrels = corrected_qrels(sessions, estimate_noise(sessions))
    run = dict.fromkeys(qrels, ("b", "a"))
    found = compare(evaluate_clicks(run, qrels, [Ndcg(10)]), evaluate_clicks({}, qrels, [Ndcg(10)]))
    assert found.of(Ndcg(10)).queries == 0
    assert not decide(GateEvidence(comparison=found)).promote
