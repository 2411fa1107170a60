"""Nobody counts twice, whatever names they go by."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from desireline.trainer.logs.k_anonymity import clients_by, known_to_enough


def counted(*clients: str) -> int:
    rows = pl.DataFrame(
        {"query": "q", "client": list(clients)}, schema={"query": pl.String, "client": pl.String}
    )
    return dict(clients_by(rows, "query").iter_rows()).get("q", 0)


def test_a_person_is_one_client_before_and_after_the_salt_rotates():
    assert counted("salt-aa~1", "salt-bb~9") == 1
    assert counted("salt-aa~1", "salt-aa~2", "salt-bb~7", "salt-bb~8", "salt-bb~9") == 3


def test_searches_that_name_nobody_are_one_client_together():
    assert counted("", "", "") == 1
    assert counted("", "ann") == 1
    assert counted("", "ann", "bob") == 2


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=30))
def test_the_count_is_never_more_than_there_were_people(events):
    """Each event is of a person, in a period; a person's name differs between periods."""
    names = [f"salt-{period:02x}~{person}" for person, period in events]
    assert 1 <= counted(*names) <= len({person for person, _ in events})


def test_only_queries_of_enough_clients_stay_and_keep_their_order():
    searches = pl.DataFrame({"query": ["b", "a", "b", "a"], "client": ["x", "x", "y", "x"]})
    rows = pl.DataFrame({"query": ["b", "a", "b"], "n": [1, 2, 3]})
    assert known_to_enough(rows, searches, 2)["n"].to_list() == [1, 3]
    assert known_to_enough(rows, searches, 1)["n"].to_list() == [1, 2, 3]
