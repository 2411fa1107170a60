"""What click models count, added up over parts of a log that is larger than memory.

A part holds whole searches of whole clients for a query, so what a client may count once a day is
found in the part. Single sessions are gone afterwards: there is no dwell, no order of clicks and
nobody to doubt, so defences that look at clients (`trust`) and miners need sessions.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from desireline.trainer.clickmodels.click_log import ClickLog
from desireline.trainer.logs.k_anonymity import clients_by

_PAIR = ("query", "document_id")
_PLACE = (*_PAIR, "position", "shown")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCounts:
    """Documents shown and clicked, by where they stood; and who stands behind each pair."""

    #: query, document_id, position (null where unknown), shown, impressions, clicks; sorted.
    places: pl.DataFrame
    #: query, document_id, impressions, clicks, clients (who clicked), weight (mean of the
    #: actions'; 0 without any); sorted.
    pairs: pl.DataFrame

    @property
    def log(self) -> ClickLog:
        """What models that count are fitted to."""
        return ClickLog.of_counts(self.places)


def known_queries(typed: pl.DataFrame, min_clients: int) -> pl.DataFrame:
    """Return, as `query`, those that enough clients typed. All of a query's searches are given."""
    if min_clients <= 1:
        return typed.select("query").unique()
    return clients_by(typed, "query").filter(pl.col("clients") >= min_clients).select("query")


def count_sessions(parts: Iterable[pl.DataFrame]) -> SessionCounts:
    """Add up the rows of sessions, part by part; memory holds one part and the counts.

    Args:
        parts: rows as of `Sessions.frame`. No client is in two parts with the same query.

    """
    places, pairs = _Sums(_PLACES, _PLACE), _Sums(_PAIRS, _PAIR)
    for rows in parts:
        places.add(_places_of(rows))
        pairs.add(_pairs_of(rows))
    mean = (pl.col("weight") / pl.col("clicks")).fill_nan(0.0)
    return SessionCounts(
        places=_as_text(places.total()).sort(_PLACE),
        pairs=_as_text(pairs.total().with_columns(weight=mean)).sort(_PAIR),
    )


def _places_of(rows: pl.DataFrame) -> pl.DataFrame:
    where = pl.when("shown").then("position").cast(pl.Int32).alias("position")
    return (
        rows.lazy()
        .select(*_NAMES, where, "shown", "clicked")
        .group_by(_PLACE)
        .agg(impressions=pl.len().cast(pl.Float64), clicks=pl.col("clicked").sum().cast(pl.Float64))
        .collect()
    )


def _pairs_of(rows: pl.DataFrame) -> pl.DataFrame:
    who = pl.when(pl.col("client") == "").then("query_id").otherwise("client")
    return (
        rows.lazy()
        .with_columns(*_NAMES, who=who)
        .group_by(_PAIR)
        .agg(
            impressions=pl.len().cast(pl.Int64),
            clicks=pl.col("clicked").sum().cast(pl.Int64),
            clients=pl.col("who").filter("clicked").n_unique().cast(pl.Int64),
            weight=pl.col("weight").filter("clicked").sum(),
        )
        .collect()
    )


class _Sums:
    """Figures by key, added up when as many are new as there are sums, so that adding stays cheap.

    Memory holds at most twice the sums, and one part.
    """

    def __init__(self, schema: dict[str, type[pl.DataType]], key: tuple[str, ...]) -> None:
        self._sums, self._key = pl.DataFrame(schema=schema), key
        self._figures = [name for name in schema if name not in key]
        self._new: list[pl.DataFrame] = []

    def add(self, more: pl.DataFrame) -> None:
        self._new.append(more.select(self._sums.columns))
        if sum(each.height for each in self._new) > self._sums.height:
            self.total()

    def total(self) -> pl.DataFrame:
        if self._new:
            both = pl.concat([self._sums, *self._new])
            self._sums = both.group_by(self._key).agg(pl.col(self._figures).sum())
            self._new = []
        return self._sums


def _as_text(counts: pl.DataFrame) -> pl.DataFrame:
    return counts.with_columns(pl.col(_PAIR).cast(pl.String))


#: Texts that come again and again are held once.
_NAMES = tuple(pl.col(name).cast(pl.Categorical) for name in _PAIR)
_PLACES: dict[str, type[pl.DataType]] = {
    "query": pl.Categorical,
    "document_id": pl.Categorical,
    "position": pl.Int32,
    "shown": pl.Boolean,
    "impressions": pl.Float64,
    "clicks": pl.Float64,
}
_PAIRS: dict[str, type[pl.DataType]] = {
    "query": pl.Categorical,
    "document_id": pl.Categorical,
    "impressions": pl.Int64,
    "clicks": pl.Int64,
    "clients": pl.Int64,
    "weight": pl.Float64,
}
