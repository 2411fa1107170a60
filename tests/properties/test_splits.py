from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.connectors.events import Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.trainer.sessions import to_sessions
from desireline.trainer.splits import held_out_queries, split_forward

START = datetime(2025, 1, 1, tzinfo=UTC)
SEARCHES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 500)), max_size=60)


def sessions_of(searches):
    queries = tuple(
        Query(
            query_id=str(number),
            text=f"query {word}",
            at=START + timedelta(hours=hour),
            client=f"c{number}",
            shown=("a", "b"),
        )
        for number, (word, hour) in enumerate(searches)
    )
    return to_sessions([LogBatch(cursor=Cursor(""), queries=queries)])


@settings(deadline=None)
@given(
    searches=SEARCHES,
    held_out_share=st.floats(0, 1),
    later_share=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_a_split_leaks_neither_a_query_nor_the_future(searches, held_out_share, later_share, seed):
    split = split_forward(
        sessions_of(searches), held_out_share=held_out_share, later_share=later_share, seed=seed
    )
    if split.boundary is None:
        assert not searches
        return
    train, held_out, returning, earlier = (
        part.frame for part in (split.train, split.held_out, split.returning, split.earlier)
    )
    assert not set(train["query"]) & set(earlier["query"])
    assert all(at < split.boundary for at in earlier["at"])
    assert split.judging.frame.height == earlier.height + held_out.height
    assert not set(train["query"]) & set(held_out["query"])
    assert set(returning["query"]) <= set(train["query"])
    assert all(at < split.boundary for at in train["at"])
    assert all(at >= split.boundary for part in (held_out, returning) for at in part["at"])
    assert not set(train["query_id"]) & (set(held_out["query_id"]) | set(returning["query_id"]))


@settings(deadline=None)
@given(words=st.sets(st.integers(0, 10**6), min_size=1, max_size=50), seed=st.integers(0, 9))
def test_a_query_stays_held_out_as_the_log_grows(words, seed):
    queries = pl.Series([f"query {word}" for word in sorted(words)])
    held_out = set(held_out_queries(queries, 0.3, seed))
    assert set(held_out_queries(queries[:-1], 0.3, seed)) == held_out & set(queries[:-1])


def test_the_share_of_held_out_queries_is_about_as_asked():
    queries = pl.Series([f"query {number}" for number in range(2_000)])
    assert 150 < held_out_queries(queries, 0.1, 0).len() < 250
    assert set(held_out_queries(queries, 0.1, 0)) != set(held_out_queries(queries, 0.1, 1))
