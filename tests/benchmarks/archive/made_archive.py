"""An archive of any size, made a day at a time: what users of a position-based model did."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from desireline.connectors.log_source import Cursor
from desireline.sidecar.archive.event_archive import EventArchive
from desireline.trainer.logs.frames import SCHEMAS

SHOWN, DAYS = 10, 60
QUERIES, CANDIDATES, DOCUMENTS = 20_000, 20, 40_000
START = datetime(2026, 3, 1, tzinfo=UTC)
_TODAY = date(2026, 5, 1)
#: Of a search: what it shows, and its clicks.
_ROWS = SHOWN * 1.08
_AT_ONCE = 50_000


def write(folder: Path, rows: int) -> int:
    """Write an archive of about so many documents shown and clicked; return how many there are.

    Queries are typed as Zipf says. Of a query's 20 candidates each page shows 10, in the order of
    one of three rankings; a client comes six times, so there are more clients in a larger log.
    """
    archive, count = EventArchive(folder), 0
    with archive.pulling("made") as pull:
        for number, tables in enumerate(_tables(round(rows / _ROWS))):
            pull.keep(tables, Cursor(str(number)), {}, today=_TODAY)
            count += tables["queries"].height * SHOWN + tables["actions"].height
    archive.compact()
    return count


def _tables(searches: int) -> Iterator[dict[str, pl.DataFrame]]:
    random = np.random.default_rng(0)
    share = np.arange(1.0, QUERIES + 1) ** -0.8
    usual = np.arange(CANDIDATES) + random.normal(0, 2.0, (3, QUERIES, CANDIDATES))
    rankings = np.argsort(usual, axis=2)[:, :, :SHOWN]
    attraction = random.beta(1, 4, (QUERIES, CANDIDATES))
    first = random.integers(0, DOCUMENTS - CANDIDATES, QUERIES)
    clients = max(1, searches // 6)
    for day in range(DAYS):
        left = searches * (day + 1) // DAYS - searches * day // DAYS
        while left:
            count = min(left, _AT_ONCE)
            query = random.choice(QUERIES, count, p=share / share.sum())
            shown = rankings[random.integers(0, 3, count), query]
            look = random.random(shown.shape) < np.arange(1.0, SHOWN + 1) ** -0.6
            clicked = look & (random.random(shown.shape) < attraction[query[:, None], shown])
            table = pl.DataFrame(
                {
                    "query_id": pl.Series(random.integers(0, 2**62, count)).cast(pl.String),
                    "query": "query number " + pl.Series(query).cast(pl.String),
                    "client": "client-"
                    + pl.Series(random.integers(0, clients, count)).cast(pl.String),
                    "at": _times(day, random.integers(0, 86_000, count)),
                    "shown": _documents(first[query, None] + shown),
                    "first_position": np.ones(count, dtype=np.int32),
                    "subnet": pl.Series([""]).new_from_index(0, count),
                }
            )
            yield {
                "queries": table.select(pl.col(n).cast(t) for n, t in SCHEMAS["queries"].items()),
                "actions": _clicks(table, clicked),
            }
            left -= count


def _times(day: int, seconds: np.ndarray) -> pl.Series:
    begun = round((START + timedelta(days=day)).timestamp())
    return pl.from_epoch(pl.Series(begun + seconds) * 1_000_000, "us").dt.replace_time_zone("UTC")


def _documents(numbers: np.ndarray) -> pl.Series:
    flat = "document-" + pl.Series(numbers.ravel()).cast(pl.String)
    return flat.reshape(numbers.shape).arr.to_list()


def _clicks(searches: pl.DataFrame, clicked: np.ndarray) -> pl.DataFrame:
    row, place = np.nonzero(clicked)
    of_click = searches.select("query_id", "client", "at", "shown")[row]
    return of_click.select(
        "query_id",
        pl.col("shown").list.get(pl.Series(place)).alias("document_id"),
        pl.Series("position", place + 1).cast(pl.Int32),
        pl.col("at") + pl.duration(seconds=7),
        "client",
        kind=pl.lit("click"),
        query=pl.lit(""),
    ).select(pl.col(name).cast(kind) for name, kind in SCHEMAS["actions"].items())
