"""A synthetic log of flat events: what users of a position-based model saw and clicked."""

from pathlib import Path

import numpy as np
import polars as pl

SHOWN = 20
QUERIES, DOCUMENTS, CANDIDATES = 20_000, 40_000, 30
_PAGES_AT_ONCE = 100_000


def write(folder: Path, events: int, seed: int = 0) -> None:
    """Write about that many events as zstd Parquet: one row an impression, and one more a click.

    Queries are typed as Zipf says. Of a query's 30 candidates each page shows 20, in the order of
    one of three rankings, as after two changes of the index; P(click) is rank^-0.6 x the
    attraction of the pair. A page is shown to a client, who comes back after a while, and its
    events are a few seconds apart.
    """
    random = np.random.default_rng(seed)
    pages = round(events / (SHOWN * 1.07))
    queries = pl.Series([f"query number {number}" for number in range(QUERIES)])
    documents = pl.Series([f"document-{number:06}" for number in range(DOCUMENTS)])
    attraction = random.beta(1, 4, (QUERIES, CANDIDATES))
    first = random.integers(0, DOCUMENTS - CANDIDATES, QUERIES)
    share = np.arange(1.0, QUERIES + 1) ** -0.8
    usual = np.arange(CANDIDATES) + random.normal(0, 2.0, (3, QUERIES, CANDIDATES))
    rankings = np.argsort(usual, axis=2)[:, :, :SHOWN]
    for number, start in enumerate(range(0, pages, _PAGES_AT_ONCE)):
        count = min(_PAGES_AT_ONCE, pages - start)
        query = random.choice(QUERIES, count, p=share / share.sum())
        shown = rankings[random.integers(0, 3, count), query]
        looked = random.random(shown.shape) < np.arange(1.0, SHOWN + 1) ** -0.6
        clicked = looked & (random.random(shown.shape) < attraction[query[:, None], shown])
        client = random.integers(0, max(1, pages // 6), count)
        second = random.integers(0, 60 * 86_400, count)
        page, place = np.nonzero(np.ones(shown.shape, dtype=bool))
        clicks = np.flatnonzero(clicked.ravel())
        row = np.concatenate([np.arange(page.size), clicks])
        at = second[page[row]] * 1_000_000 + place[row] * 200_000
        at[page.size :] += 7_000_000
        pl.DataFrame(
            {
                "client": pl.Series(client[page[row]]).cast(pl.String),
                "query": queries.gather(query[page[row]]),
                "document_id": documents.gather(first[query[page[row]]] + shown.ravel()[row]),
                "position": (place[row] + 1).astype(np.int32),
                "kind": pl.Series(np.where(row == np.arange(row.size), "impression", "click")),
                "at": pl.Series(at).cast(pl.Datetime("us", "UTC")),
            }
        ).sort("at").write_parquet(folder / f"{number:04}.parquet")
