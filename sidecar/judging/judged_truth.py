"""Judgments of people as the truth a candidate is judged by, where a target names them."""

from pathlib import Path

import polars as pl

from desireline.sidecar.judging.evidence import HeldOutTruth
from desireline.trainer.evaluation import by_frequency
from desireline.trainer.judging.judgment_exchange import read_ratings
from desireline.trainer.judging.presentable import presentable_queries
from desireline.trainer.sessions import SessionConfig
from desireline.trainer.splits import Split


def truth_of_people(file: Path, split: Split, *, enough: SessionConfig) -> HeldOutTruth:
    """Return what people judged as the truth; how often each query is searched is the log's.

    A query that nobody searched counts as searched once: it is of the tail. What people judged may
    be anybody's query, so only those that enough clients typed may be shown.

    Raises:
        JudgmentFormatError: the file cannot be read.

    """
    qrels = read_ratings(file)
    searched = pl.concat(
        [part.frame.select("query", "query_id") for part in (split.train, split.held_out)]
    )
    everybody = pl.concat(
        part.frame.select("query", "client")
        for part in (split.train, split.held_out, split.returning, split.earlier)
    )
    counts = dict(searched.group_by("query").agg(pl.col("query_id").n_unique()).iter_rows())
    return HeldOutTruth(
        qrels=qrels,
        segments=by_frequency({query: counts.get(query, 1) for query in qrels}),
        presentable=presentable_queries(qrels, everybody, min_clients=enough.min_clients),
    )
