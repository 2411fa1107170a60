from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from desireline.trainer.clickmodels.base import ClickLog, FittedClickModel


def show_pages(random, *, queries=3, documents=5, searches=1_500) -> ClickLog:
    """Show the documents of each query in a new order each time; nobody has clicked yet."""
    views = queries * searches
    order = np.argsort(random.random((views, documents)), axis=1)
    query = np.repeat(np.arange(queries), searches * documents)
    return ClickLog(
        pl.DataFrame(
            {
                "view": np.repeat(np.arange(views), documents),
                "query": pl.Series(query).cast(pl.String),
                "document_id": pl.Series(order.ravel()).cast(pl.String),
                "position": np.tile(np.arange(1, documents + 1), views),
                "shown": True,
                "clicked": False,
                "share": 1.0,
            }
        )
    )


def model_of(log, users, attraction, satisfaction=None) -> FittedClickModel:
    """Make a click model whose numbers are chosen, not estimated."""
    satisfied = np.ones(len(attraction)) if satisfaction is None else satisfaction
    return FittedClickModel(
        attractiveness=log.pairs.with_columns(
            attraction=pl.Series(attraction), satisfaction=pl.Series(satisfied)
        ),
        users=users,
        positions=log.positions,
        examination={},
        usual=0.2,
    )


def make_log(*views) -> ClickLog:
    """Write a log by hand: (query, documents from the top, clicked documents) a view."""
    rows = [
        (number, query, document, place, True, document in clicks, 1.0)
        for number, (query, documents, clicks) in enumerate(views)
        for place, document in enumerate(documents, 1)
    ]
    names = ["view", "query", "document_id", "position", "shown", "clicked", "share"]
    return ClickLog(pl.DataFrame(rows, schema=names, orient="row"))


@pytest.fixture(scope="session")
def show() -> Callable[..., ClickLog]:
    return show_pages


@pytest.fixture(scope="session")
def known() -> Callable[..., FittedClickModel]:
    return model_of


@pytest.fixture(scope="session")
def log_of() -> Callable[..., ClickLog]:
    return make_log
