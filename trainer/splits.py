"""Train on the past, judge by queries never trained on, above all by the newest searches."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

import polars as pl

from desireline.trainer.sessions import Sessions
from desireline.trainer.trust.belief import JudgesConfig, may_judge, may_judge_before

_BUCKETS = 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Four parts of a log that share no search; the rest is used for nothing."""

    #: Searches before the boundary, without those of held-out queries.
    train: Sessions
    #: Searches from the boundary on that may judge, of queries that `train` never holds.
    held_out: Sessions
    #: Searches from the boundary on that may judge, of queries that `train` does hold.
    returning: Sessions
    #: Searches before the boundary that may judge, of queries held out for good.
    earlier: Sessions
    #: None for an empty log.
    boundary: datetime | None

    @property
    def judging(self) -> Sessions:
        """All searches of queries that `train` never holds, old ones and new.

        What an encoder has not been taught it cannot have learned by heart, whenever it was asked
        for; several times as many clicks judge as those after the boundary alone.
        """
        both = pl.concat([self.earlier.frame, self.held_out.frame])
        return replace(self.held_out, frame=both)


def split_forward(
    sessions: Sessions,
    *,
    held_out_share: float = 0.1,
    later_share: float = 0.15,
    seed: int = 0,
    judges: JudgesConfig | None = None,
) -> Split:
    """Cut the log in time, and keep a share of the queries out of training for good.

    The boundary is where `later_share` of the searches are still to come. A query is held out
    by a salted hash of its normalised text, so it stays held out as the log grows, whatever
    the order of events; another seed holds out other queries. A query that nobody typed before
    the boundary is held out too: training cannot have seen it. Pairs that wait (see `trust`) are
    in no part that teaches.

    Args:
        sessions: the joined log.
        held_out_share: share of the distinct queries, between 0 and 1.
        later_share: share of the searches after the boundary, between 0 and 1.
        seed: salt of the hash.
        judges: whose searches may judge; everybody's if left out.

    """
    boundary = _boundary(sessions.frame, later_share)
    if boundary is None:
        return Split(
            train=sessions, held_out=sessions, returning=sessions, earlier=sessions, boundary=None
        )
    frame = sessions.frame
    salted = held_out_queries(frame.get_column("query").unique(), held_out_share, seed)
    trained = (pl.col("at") < boundary) & ~pl.col("query").is_in(salted.implode())
    seen = frame.filter(trained).get_column("query").unique().implode()
    later = pl.col("at") >= boundary
    earlier = (pl.col("at") < boundary) & pl.col("query").is_in(salted.implode())
    if judges is not None:
        earlier &= pl.col("query_id").is_in(may_judge_before(sessions, boundary, judges).implode())
        later &= pl.col("query_id").is_in(may_judge(sessions, boundary, judges).implode())
    return Split(
        train=_without_waiting(sessions.only(trained)),
        held_out=sessions.only(later & ~pl.col("query").is_in(seen)),
        returning=sessions.only(later & pl.col("query").is_in(seen)),
        earlier=sessions.only(earlier),
        boundary=boundary,
    )


def _without_waiting(sessions: Sessions) -> Sessions:
    """Leave out pairs that wait, skips and all, where their clicks would teach already."""
    pair = ["query", "document_id"]
    early = sessions.waiting.join(sessions.frame.filter("clicked"), on=pair, how="semi")
    ready = sessions.frame.join(early, on=pair, how="anti", maintain_order="left")
    return replace(sessions, frame=ready)


def held_out_queries(queries: pl.Series, share: float, seed: int) -> pl.Series:
    """Return those of the normalised queries that are never to be trained on."""
    limit = share * _BUCKETS
    return queries.filter(
        pl.Series([_bucket(query, seed) < limit for query in queries], dtype=pl.Boolean)
    )


def _bucket(query: str, seed: int) -> int:
    salted = f"{seed}\n{query}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(salted).digest()[:4])


def _boundary(frame: pl.DataFrame, later_share: float) -> datetime | None:
    searches = frame.unique("query_id").get_column("at")
    return cast("datetime | None", searches.quantile(1 - later_share, interpolation="higher"))
