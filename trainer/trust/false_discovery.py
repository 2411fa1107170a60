"""Which of many unlikely findings to believe."""

from collections.abc import Sequence

import polars as pl


def discovered(found: pl.DataFrame, share: float, *, order: Sequence[str]) -> pl.DataFrame:
    """Keep, within each query, what Benjamini and Hochberg (1995) keep.

    Each query is a family of its own, so that what is found under one query does not depend on
    any other.

    Args:
        found: columns query, tail (probability of so much by chance, or a bound above it),
            family (how many there were to look at under the query); rows with a tail of 1 may be
            missing, they are never kept.
        share: of what is kept, at most so much is chance.
        order: columns that break ties, so that the order of rows does not matter.

    """
    rank = pl.int_range(1, pl.len() + 1).over("query", order_by=["tail", *order])
    passing = pl.when(pl.col("tail") <= share * pl.col("rank") / pl.col("family"))
    return (
        found.with_columns(rank=rank)
        .with_columns(last=passing.then("rank").max().over("query"))
        .filter(pl.col("rank") <= pl.col("last"))
        .drop("rank", "last")
    )
