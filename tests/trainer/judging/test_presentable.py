"""What of a truth people may see: nothing that too few of them typed or clicked."""

import polars as pl
import pytest

from desireline.trainer.judging.presentable import presentable_clicks, presentable_queries

QRELS = {
    "popular": {"wanted": 1.5, "of two": 0.7, "skipped": -0.4},
    "rare": {"wanted": 2.0},
    "unclicked": {"wanted": 0.1},
}


def impressions(query, document, clients, clicked):
    return [(query, document, f"client {n}", n < clicked) for n in range(clients)]


ROWS = pl.DataFrame(
    [
        *impressions("popular", "wanted", 6, 3),
        *impressions("popular", "of two", 6, 2),
        *impressions("popular", "skipped", 6, 4),
        *impressions("rare", "wanted", 4, 4),
        *impressions("unclicked", "wanted", 9, 0),
        *impressions("never judged", "wanted", 9, 9),
    ],
    schema={"query": str, "document_id": str, "client": str, "clicked": bool},
    orient="row",
)


@pytest.mark.parametrize(
    ("clients", "pair_clients", "expected"),
    [
        (5, 3, {"popular": {"wanted": 1.5}}),
        (4, 3, {"popular": {"wanted": 1.5}, "rare": {"wanted": 2.0}}),
        (5, 2, {"popular": {"wanted": 1.5, "of two": 0.7}}),
        (7, 3, {}),
        (5, 4, {}),
    ],
)
def test_a_query_needs_typists_and_a_document_clickers(clients, pair_clients, expected):
    found = presentable_clicks(QRELS, ROWS, min_clients=clients, min_pair_clients=pair_clients)
    assert found == expected


def test_one_person_under_many_names_is_one():
    rows = ROWS.with_columns(client=pl.lit(""))
    assert presentable_clicks(QRELS, rows, min_clients=2, min_pair_clients=1) == {}


def test_of_judged_queries_those_that_enough_typed_may_be_shown_whoever_judged():
    assert set(presentable_queries(QRELS, ROWS, min_clients=5)) == {"popular", "unclicked"}
