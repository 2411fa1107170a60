from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from desireline.connectors.events import Action, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.trainer.judging.off_policy import expected_clicks
from desireline.trainer.sessions import to_sessions

START = datetime(2025, 1, 1, tzinfo=UTC)
DOCUMENTS = [f"d{n}" for n in range(10)]
THETA = {place: place**-0.6 for place in range(1, 11)}
APPEAL = dict(zip(DOCUMENTS, np.linspace(0.9, 0.05, 10), strict=True))
BEST = {"shoes": tuple(DOCUMENTS)}
WORST = {"shoes": tuple(reversed(DOCUMENTS))}


def log_of(searches, seed, *, order=None, shown=10):
    """Users of the position-based model, on pages in an order of their own each."""
    random = np.random.default_rng(seed)
    queries, clicks = [], []
    for number in range(searches):
        page = order or random.permutation(DOCUMENTS).tolist()[:shown]
        query = Query(
            query_id=f"q{number}",
            text="shoes",
            at=START + timedelta(minutes=number),
            client=f"c{number}",
            shown=tuple(page),
        )
        queries.append(query)
        clicks += [
            Action(query_id=query.query_id, document_id=each, kind="click", at=query.at)
            for place, each in enumerate(page, 1)
            if random.random() < THETA[place] * APPEAL[each]
        ]
    return to_sessions([LogBatch(cursor=Cursor(""), queries=tuple(queries), actions=tuple(clicks))])


def truth(run):
    return sum(THETA[place] * APPEAL[each] for place, each in enumerate(run["shoes"], 1))


@pytest.mark.parametrize("run", [BEST, WORST])
def test_the_clicks_of_a_ranking_that_nobody_saw_are_recovered(run):
    off = []
    for seed in range(20):
        found = expected_clicks(log_of(600, seed), run, THETA)
        off.append((found.clicks_a_search - truth(run)) / found.standard_error)
        assert not found.warning
        assert found.covered == pytest.approx(1, abs=0.1)
    assert abs(np.mean(off)) < 0.6
    assert 0.6 < np.std(off) < 1.5


def test_one_log_is_estimated_alike_to_the_last_digit():
    sessions = log_of(1_500, 3)
    found = {expected_clicks(sessions, BEST, THETA) for _ in range(20)}
    assert len(found) == 1


def test_the_ranking_that_was_shown_is_estimated_by_its_own_clicks():
    sessions = log_of(400, 1, order=DOCUMENTS)
    found = expected_clicks(sessions, BEST, THETA)
    assert found.clicks_a_search == pytest.approx(sessions.frame["clicked"].sum() / 400)
    assert (found.searches, found.effective, found.covered) == (400, 400, 1)


def test_few_searches_that_a_ranking_shares_with_the_log_are_called_a_guess():
    few = expected_clicks(log_of(40, 1), BEST, THETA)
    assert "40 searches are worth" in few.warning
    unknown = {"shoes": ("new 1", "new 2", "new 3", *DOCUMENTS[:2])}
    hardly = expected_clicks(log_of(3_000, 1), unknown, THETA)
    assert "the log has shown" in hardly.warning


def test_clicks_from_where_hardly_anybody_looks_count_ten_at_most_and_that_is_said():
    sharp = {place: place**-3.0 for place in range(1, 11)}
    found = expected_clicks(log_of(300, 4, order=list(reversed(DOCUMENTS))), BEST, sharp)
    assert found.covered < 0.1
    assert "the log has shown" in found.warning


@pytest.mark.parametrize(("run", "theta"), [({"other": ("d1",)}, THETA), (BEST, {})])
def test_nothing_is_said_of_queries_or_positions_that_are_not_in_the_log(run, theta):
    assert expected_clicks(log_of(5, 1), run, theta) is None
