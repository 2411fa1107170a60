import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desireline.trainer.clickmodels.click_log import ClickLog

SEARCH = st.tuples(
    st.sampled_from("qr"),
    st.permutations("abcd").flatmap(
        lambda order: st.integers(1, 4).map(lambda length: "".join(order[:length]))
    ),
    st.sets(st.sampled_from("abcd")),
)


def unfolded(log):
    """List every page of a log as often as it was seen."""
    pages = log.pages
    names = log.pairs.select("query", "document_id").rows()
    for page in range(len(pages.count)):
        there = pages.there[page]
        shown = tuple(
            (*names[pair], position, bool(click))
            for pair, position, click in zip(
                pages.pair[page][there],
                pages.position[page][there],
                pages.clicked[page][there],
                strict=True,
            )
        )
        yield from [shown] * round(pages.count[page])


@given(st.lists(SEARCH, max_size=30))
def test_counting_equal_pages_once_loses_nothing(log_of, searches):
    log = log_of(*searches) if searches else ClickLog(log_of(("q", "a", "")).rows.clear())
    expected = sorted(
        tuple(
            (query, document, place, document in clicks) for place, document in enumerate(page, 1)
        )
        for query, page, clicks in searches
    )
    assert sorted(unfolded(log)) == expected
    assert len(log.pages.count) == len(set(expected))


@given(st.lists(SEARCH, min_size=1, max_size=30))
def test_counts_and_pages_say_the_same(log_of, searches):
    log = log_of(*searches)
    arrays, pages = log.arrays, log.pages
    seen, clicked = np.zeros(log.pairs.height), np.zeros(log.pairs.height)
    weight = np.broadcast_to(pages.count[:, None], pages.there.shape)
    np.add.at(seen, pages.pair[pages.there], weight[pages.there])
    np.add.at(clicked, pages.pair[pages.there], (weight * pages.clicked)[pages.there])
    np.testing.assert_allclose(arrays.by_pair(arrays.impressions), seen)
    np.testing.assert_allclose(arrays.by_pair(arrays.clicks), clicked)
    assert (log.place(pages.position)[pages.there] == pages.position[pages.there] - 1).all()


def test_unknown_positions_come_last_and_stand_on_no_page():
    log = ClickLog.of_counts(
        pl.DataFrame(
            {
                "query": ["q", "q", "q"],
                "document_id": ["a", "b", "c"],
                "position": pl.Series([3, None, 7], dtype=pl.Int32),
                "shown": [True, False, True],
                "impressions": [4, 2, 1],
                "clicks": [1, 2, 0],
            }
        )
    )
    assert log.arrays.positions == (3, 7, 0)
    assert log.arrays.place.tolist() == [0, 2, 1]
    assert log.positions.tolist() == [3, 7]
    assert log.place(np.array([1, 3, 5, 7, 9])).tolist() == [0, 0, 0, 1, 1]
    assert sorted(log.pages.count.tolist()) == [1, 1, 3]


def test_the_share_of_an_execution_counts_in_both_views(log_of):
    log = log_of(("q", "ab", "a"), ("q", "ab", "a"), ("q", "ab", ""))
    old = ClickLog(
        log.rows.with_columns(share=pl.when(pl.col("view") == 0).then(0.25).otherwise(1.0))
    )
    assert sorted(old.pages.count.tolist()) == [1, 1.25]
    assert old.pairs.get_column("impressions").to_list() == [2.25, 2.25]
    assert old.pairs.get_column("clicks").to_list() == [1.25, 0]


def test_pages_end_after_a_hundred_answers(log_of):
    names = [str(number) for number in range(120)]
    log = log_of(("q", names, names[:1]))
    assert log.pages.pair.shape == (1, 100)
    assert log.arrays.impressions.sum() == pytest.approx(120)


def test_flat_events_are_counted_in_files_of_any_size(tmp_path):
    events = pl.DataFrame(
        [
            ("q", "a", 1, "impression"),
            ("q", "a", 1, "impression"),
            ("q", "a", 1, "click"),
            ("q", "a", 2, "impression"),
            ("q", "a", None, "click"),
            ("q", "b", 2, "hover"),
            ("r", "b", 2, "impression"),
        ],
        schema=["query", "document_id", "position", "kind"],
        orient="row",
    )
    for number, part in enumerate((events[:3], events[3:])):
        part.write_parquet(tmp_path / f"{number}.parquet")
    counted = ClickLog.of_events(pl.scan_parquet(tmp_path / "*.parquet")).counts
    assert counted.select("query", "document_id", "position", "impressions", "clicks").rows() == [
        ("q", "a", None, 1, 1),
        ("q", "a", 1, 2, 1),
        ("q", "a", 2, 1, 0),
        ("r", "b", 2, 1, 0),
    ]


@given(st.lists(SEARCH, min_size=1, max_size=20))
def test_a_log_made_of_its_own_counts_counts_the_same(log_of, searches):
    log = log_of(*searches)
    again = ClickLog.of_counts(log.counts)
    assert again.counts.equals(log.counts)
    assert again.pairs.equals(log.pairs)
    assert again.rows.get_column("share").sum() == log.rows.height
    assert again.pages.pair.shape[1] == 1
