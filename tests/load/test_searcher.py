"""What the load run calls a wrong answer, and what it lays to the cluster's graph."""

import threading

import pytest
from load_application import Found, Hits, Searcher

RIGHT: dict[str, dict[str, dict[str, float]]] = {"encoder": {"nurse": {"own": 1.0, "other": 0.4}}}


@pytest.mark.parametrize(
    ("hits", "exact", "mixed", "unreached"),
    [
        ([("own", 1.0), ("other", 0.4)], [], 0, 0),
        ([("other", 0.4)], [("own", 1.0), ("other", 0.4)], 0, 1),
        ([("other", 0.4)], [("other", 0.4)], 1, 0),
        ([("other", 0.4)], [], 1, 0),
        ([("other", 0.4)], [("own", 1.0), ("other", 0.9)], 1, 0),
        ([("own", 1.0), ("other", 0.9)], [("own", 1.0), ("other", 0.4)], 1, 0),
    ],
)
def test_only_what_an_exact_search_of_the_same_generation_finds_is_laid_to_the_graph(
    hits: Hits, exact: Hits, mixed: int, unreached: int
) -> None:
    stop = threading.Event()

    def answer(_text: str) -> Found:
        stop.set()
        return Found(number=2, fingerprint="encoder", hits=hits, exactly=lambda: exact)

    searcher = Searcher(search=answer, right=RIGHT, stop=stop)
    searcher.work()
    assert (len(searcher.mixed), searcher.unreached, searcher.failed) == (mixed, unreached, [])
