"""Visits are what sorting every event would find."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from desireline.trainer.logs.visits import count_visits

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCHEMA = {"client": pl.String, "at": pl.Datetime("us", "UTC")}


def events(*rows):
    table = [(client, START + timedelta(seconds=second)) for client, second in rows]
    return pl.LazyFrame(table, schema=SCHEMA, orient="row")


def test_a_visit_ends_with_a_silence_longer_than_the_pause():
    assert count_visits(events(("a", 0), ("a", 10), ("a", 20.000001)), 10) == 2


def test_each_client_visits_on_its_own():
    assert count_visits(events(("a", 0), ("b", 1), ("a", 2), ("b", 3)), 10) == 2


def test_a_log_of_nothing_has_no_visit():
    assert count_visits(events(), 10) == 0


@pytest.mark.parametrize("seed", range(5))
def test_visits_are_those_that_sorting_every_event_finds(seed):
    random = np.random.default_rng(seed)
    rows = [
        (f"client-{client}", int(second))
        for client, second in zip(
            random.integers(0, 20, 2_000), random.integers(-200_000, 200_000, 2_000), strict=True
        )
    ]
    found = 0
    for client in {client for client, _ in rows}:
        seconds = sorted(second for who, second in rows if who == client)
        found += 1 + sum(later - sooner > 1800 for sooner, later in pairwise(seconds))
    assert count_visits(events(*rows), 1800) == found
