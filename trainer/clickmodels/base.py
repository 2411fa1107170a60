"""Port: counts of what was shown and clicked become how attractive each document is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from desireline.trainer.pair_features import PairFeatures

Numbers = NDArray[np.float64]
Indices = NDArray[np.intp]

#: Key of the examination of documents that were shown nobody knows where.
UNKNOWN_POSITION = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attractions:
    """What a click model made of the counts.

    `frame` has one row a (query, document_id), sorted: attraction (between 0 and 1),
    confidence (between 0 and 1: how much of the attraction is this pair's own evidence),
    impressions, clicks.
    """

    frame: pl.DataFrame
    #: How likely a user looks at each position; `UNKNOWN_POSITION` for unknown ones.
    examination: Mapping[int, float]
    #: Of the clicks given the model: 1 is certainty, 2 a coin for every impression.
    perplexity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickNoise:
    """How users look and err: P(click) = examination(position) x one of two attractions."""

    #: By position; `UNKNOWN_POSITION` for unknown ones.
    examination: Mapping[int, float]
    #: Of documents that are not relevant.
    accident: float
    #: Of relevant documents; above `accident`.
    relevant: float


class ClickModel(Protocol):
    """Tells what users want from where they look."""

    def fit(self, counts: pl.DataFrame, features: PairFeatures | None = None) -> Attractions:
        """Estimate the attraction of every pair.

        Args:
            counts: one row a (query, document_id, position, shown) with impressions and
                clicks; position is null where unknown; a document clicked without being
                shown has shown = False and as many impressions as clicks.
            features: what is known of each pair beside its clicks; a model may ignore it.

        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CountArrays:
    """The same counts as arrays: one entry a row, pairs and positions numbered."""

    pairs: pl.DataFrame
    #: Row to pair.
    pair: Indices
    #: Row to number of the position; 0 is the top-most position that was shown.
    place: Indices
    impressions: Numbers
    clicks: Numbers
    shown: NDArray[np.bool_]
    positions: tuple[int, ...]

    def by_pair(self, values: Numbers) -> Numbers:
        """Add up the values of each pair's rows."""
        return np.bincount(self.pair, values, minlength=self.pairs.height).astype(np.float64)

    def by_place(self, values: Numbers) -> Numbers:
        """Add up the values of each position's rows."""
        return np.bincount(self.place, values, minlength=len(self.positions)).astype(np.float64)


def to_arrays(counts: pl.DataFrame) -> CountArrays:
    """Give numbers to the pairs and positions of counts; unknown positions come last."""
    pairs = (
        counts.group_by("query", "document_id")
        .agg(pl.col("impressions", "clicks").sum())
        .sort("query", "document_id")
    )
    numbered = counts.join(
        pairs.select("query", "document_id").with_row_index("pair"), on=["query", "document_id"]
    ).sort("pair", "position", "shown")
    position = numbered.get_column("position").fill_null(UNKNOWN_POSITION).to_numpy()
    found = sorted(set(position.tolist()), key=lambda value: (value == UNKNOWN_POSITION, value))
    place_of = {value: place for place, value in enumerate(found)}
    return CountArrays(
        pairs=pairs,
        pair=numbered.get_column("pair").to_numpy().astype(np.intp),
        place=np.array([place_of[value] for value in position.tolist()], dtype=np.intp),
        impressions=numbered.get_column("impressions").to_numpy().astype(np.float64),
        clicks=numbered.get_column("clicks").to_numpy().astype(np.float64),
        shown=numbered.get_column("shown").to_numpy().astype(np.bool_),
        positions=tuple(found),
    )


def attractions(
    arrays: CountArrays, attraction: Numbers, looks: Numbers, examination: Numbers, chance: Numbers
) -> Attractions:
    """Put the estimates of a model together.

    Args:
        arrays: the counts.
        attraction: of each pair.
        looks: expected number of times that each pair was looked at.
        examination: of each place.
        chance: of a click on one impression, of each row.

    """
    confidence = looks / (looks + 2.0)
    return Attractions(
        frame=arrays.pairs.with_columns(
            attraction=pl.Series(attraction), confidence=pl.Series(confidence)
        ),
        examination=dict(zip(arrays.positions, examination.tolist(), strict=True)),
        perplexity=perplexity(arrays, chance),
    )


def perplexity(arrays: CountArrays, chance: Numbers) -> float:
    """2 to the mean negative log2 likelihood of an impression shown; 1 without any."""
    impressions = arrays.impressions * arrays.shown
    if not impressions.sum():
        return 1.0
    chance = np.clip(chance, 1e-9, 1 - 1e-9)
    likelihood = arrays.clicks * np.log2(chance) + (arrays.impressions - arrays.clicks) * np.log2(
        1 - chance
    )
    return float(2 ** -(likelihood[arrays.shown].sum() / impressions.sum()))
