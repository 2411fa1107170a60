"""COEC exactly as the search-relevance plugin of OpenSearch computes it, quirks and all.

For teams who have judgments from there: the same numbers, to compare with and to begin from.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, Field

from desireline.trainer.clickmodels.base import (
    Booleans,
    ClickLog,
    CountArrays,
    FittedClickModel,
    Indices,
)
from desireline.trainer.clickmodels.coec import click_through, rated
from desireline.trainer.documents.pair_features import PairFeatures

#: Buckets that a terms aggregation of OpenSearch returns unless told otherwise.
_BUCKETS = 10
_KINDS = ("click", "impression")


class SearchRelevanceCoecConfig(BaseModel, frozen=True, extra="forbid"):
    """What the plugin asks for."""

    kind: Literal["coec_search_relevance"] = "coec_search_relevance"
    #: Deepest ordinal that counts; documents seen there and nowhere above are rated 0.
    max_rank: int = Field(default=20, ge=1)


class SearchRelevanceCoec:
    """The plugin's rating as a click model: attraction is rating / (1 + rating).

    All impressions of a pair are billed at the best place that it ever had, nothing is smoothed,
    and what was seen at the deepest rank only is rated 0. The ordinals are taken to be positions
    as sessions hold them; `ratings` works on raw events instead.
    """

    def __init__(self, config: SearchRelevanceCoecConfig | None = None) -> None:
        self._max_rank = (config or SearchRelevanceCoecConfig()).max_rank

    def fit(self, log: ClickLog, features: PairFeatures | None = None) -> FittedClickModel:  # noqa: ARG002 - of the port
        """Rate every pair."""
        arrays = log.arrays
        position = np.array(arrays.positions, dtype=np.intp)
        counted = (position > 0) & (position <= self._max_rank)
        at = arrays.shown & counted[arrays.place] if len(position) else arrays.shown
        usual = np.where(counted & (position < self._max_rank), click_through(arrays), 0.0)
        best = _best_place(arrays, at)
        expected = np.where(best < len(usual), np.append(usual, 0.0)[best], 0.0) * arrays.by_pair(
            arrays.impressions * at
        )
        clicks = arrays.by_pair(arrays.clicks * at)
        rating = np.divide(clicks, expected, out=np.zeros(len(clicks)), where=expected > 0)
        return rated(log, rating, expected, usual)


def _best_place(arrays: CountArrays, at: Booleans) -> Indices:
    """Top-most place of each pair; the number of places where it has none."""
    best = np.full(arrays.pairs.height, len(arrays.positions), dtype=np.intp)
    np.minimum.at(best, arrays.pair[at], arrays.place[at])
    return best


def ratings(events: pl.DataFrame, *, max_rank: int) -> pl.DataFrame:
    """Rate raw events as `PUT _plugins/_search_relevance/judgments` with clickModel coec does.

    Read from CoecClickModel.java of the plugin. The click-through of an ordinal is taken over all
    queries, from a terms aggregation with its default of ten action names and with `max_rank`
    ordinals an action, the most frequent ones, so that others count as never seen. A pair is
    known by the raw text of the query and rated clicks / (click-through of its least ordinal x
    impressions), 0 where that has no value. Other actions rate a pair 0. Rounded half up from the
    shortest decimal, as Java's "%.3f" is.

    Args:
        events: one row an event: user_query, object_id, action_name, ordinal; null where absent.
            Rows without an ordinal count nowhere, rows without a query only in the click-through.
        max_rank: deepest ordinal that counts; rated 0, because the plugin's loop ends above it.

    Returns:
        query, document_id, rating ("%.3f", without an upper bound), sorted.

    """
    seen = events.filter(pl.col("ordinal") <= max_rank)
    usual = _click_through(seen.select("action_name", "ordinal").iter_rows(), max_rank)
    kind = pl.col("action_name").str.to_lowercase()
    counted = (
        seen.drop_nulls(["user_query", "object_id"])
        .group_by(query="user_query", document_id="object_id")
        .agg(
            clicks=(kind == "click").sum(),
            impressions=(kind == "impression").sum(),
            least=pl.col("ordinal").filter(kind.is_in(_KINDS)).min(),
        )
        .sort("query", "document_id")
    )
    rated_pairs = [
        _three_digits(_rating(clicks, impressions, usual.get(least, 0.0)))
        for clicks, impressions, least in counted.select(
            "clicks", "impressions", "least"
        ).iter_rows()
    ]
    return counted.select("query", "document_id", rating=pl.Series(rated_pairs, dtype=pl.String))


def _click_through(events: Iterable[tuple[str, int]], max_rank: int) -> Mapping[int, float]:
    """Click-through by ordinal below `max_rank`, as far as the aggregation shows it."""
    by_action: dict[str, Counter[int]] = {}
    for action, ordinal in events:
        by_action.setdefault(action, Counter())[ordinal] += 1
    counts: dict[str, dict[int, int]] = {kind: {} for kind in _KINDS}
    for action in sorted(by_action, key=lambda name: (-by_action[name].total(), name))[:_BUCKETS]:
        at = by_action[action]
        shown = sorted(at, key=lambda ordinal: (-at[ordinal], ordinal))[:max_rank]
        counts.get(action.lower(), {}).update({ordinal: at[ordinal] for ordinal in shown})
    return {
        ordinal: counts["click"].get(ordinal, 0) / impressions
        for ordinal, impressions in counts["impression"].items()
        if 0 <= ordinal < max_rank
    }


def _rating(clicks: int, impressions: int, usual: float) -> float:
    expected = usual * impressions
    return clicks / expected if expected > 0 else 0.0


def _three_digits(rating: float) -> str:
    return str(Decimal(repr(rating)).quantize(Decimal("0.001"), rounding=ROUND_HALF_UP))
