"""The user browsing model: the look depends on the position and on the last click above."""

from typing import Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, Field

from desireline.trainer.clickmodels.backing_off import BackingOff, BackingOffConfig
from desireline.trainer.clickmodels.base import (
    ClickLog,
    CountArrays,
    FittedClickModel,
    Indices,
    Numbers,
    Pages,
    fitted,
)
from desireline.trainer.clickmodels.examination_em import (
    better_theta,
    expected,
    guessed_mean,
    settled,
)
from desireline.trainer.clickmodels.reading import looks_by_place
from desireline.trainer.clickmodels.users import NO_CLICK, BrowseFromLastClick
from desireline.trainer.documents.pair_features import PairFeatures


class UserBrowsingConfig(BaseModel, frozen=True, extra="forbid"):
    """Of the estimation."""

    kind: Literal["ubm"] = "ubm"
    iterations: int = Field(default=50, ge=1)
    #: Impressions that draw a rare combination of position and last click to one half.
    examination_strength: float = Field(default=1.0, ge=0)
    prior: BackingOffConfig = Field(default=BackingOffConfig())


class UserBrowsing:
    """P(click) = examination(position, last click above) x attraction(query, document).

    Assumptions (Dupret & Piwowarski 2008; Chuklin et al. 2015, 3.5): as the position-based model,
    but how far below the last click an answer stands sways the look too. The top-most position of
    users who have not clicked is always looked at, which fixes the scale. As both are observed,
    the same expectation maximisation over counts is exact; a place is then a position with a last
    click.
    """

    def __init__(self, config: UserBrowsingConfig | None = None) -> None:
        self._config = config or UserBrowsingConfig()

    def fit(self, log: ClickLog, features: PairFeatures | None = None) -> FittedClickModel:
        """Estimate examination and attraction."""
        prior = BackingOff.of(log, features, self._config.prior)
        cells = _cells(log)
        theta = np.full(len(cells.positions), 0.5)
        theta[:1] = 1.0
        seen, pinned = cells.seen_by_pair, prior.pinned(guessed_mean(log.arrays))
        alpha = pinned.mean(seen * 0, seen)
        for _ in range(self._config.iterations):
            looks, attracted = expected(cells, theta, alpha)
            alpha = pinned.shrink(cells.by_pair(attracted), seen)
            theta = better_theta(cells, looks, strength=self._config.examination_strength)
        alpha = settled(cells, theta, alpha, prior)
        return _result(log, cells, theta, alpha, prior)


def last_click_above(pages: Pages, place: Indices) -> Indices:
    """Place of the last click above each answer, `NO_CLICK` without. Shape (pages, ranks)."""
    clicked = np.where(pages.clicked, place, NO_CLICK)
    above = np.pad(clicked[:, :-1], ((0, 0), (1, 0)), constant_values=NO_CLICK)
    return np.asarray(np.maximum.accumulate(above, axis=1), dtype=np.intp)


def _cells(log: ClickLog) -> CountArrays:
    """Count by pair and cell: place x (places + 1) + 1 + place of the last click above."""
    pages, wide = log.pages, len(log.positions) + 1
    place = log.place(pages.position)
    cell = (place * wide + last_click_above(pages, place) + 1)[pages.there]
    weight = np.broadcast_to(pages.count[:, None], pages.there.shape)[pages.there]
    counted = (
        pl.DataFrame(
            {
                "pair": pages.pair[pages.there],
                "cell": cell,
                "shown": np.ones(len(cell), dtype=np.bool_),
                "impressions": weight,
                "clicks": weight * pages.clicked[pages.there],
            }
        )
        .vstack(_unplaced(log))
        .group_by("pair", "cell", "shown")
        .agg(pl.col("impressions", "clicks").sum())
        .sort("pair", "cell", "shown")
    )
    return CountArrays(
        pairs=log.pairs,
        pair=counted.get_column("pair").to_numpy().astype(np.intp),
        place=counted.get_column("cell").to_numpy().astype(np.intp),
        impressions=counted.get_column("impressions").to_numpy(),
        clicks=counted.get_column("clicks").to_numpy(),
        shown=counted.get_column("shown").to_numpy().astype(np.bool_),
        positions=tuple(range(max(1, (wide - 1) * wide))),
    )


def _unplaced(log: ClickLog) -> pl.DataFrame:
    """Clicks at no known position: looked at for certain, telling nothing of any cell."""
    arrays = log.arrays
    known = arrays.shown & (arrays.place < len(log.positions))
    chosen = ~known & (arrays.clicks > 0)
    return pl.DataFrame(
        {
            "pair": arrays.pair[chosen],
            "cell": np.zeros(int(chosen.sum()), dtype=np.intp),
            "shown": np.zeros(int(chosen.sum()), dtype=np.bool_),
            "impressions": arrays.clicks[chosen],
            "clicks": arrays.clicks[chosen],
        }
    )


def _result(
    log: ClickLog, cells: CountArrays, theta: Numbers, alpha: Numbers, prior: BackingOff
) -> FittedClickModel:
    places, pages = len(log.positions), log.pages
    table = theta[: places * (places + 1)].reshape(places, places + 1)
    place = log.place(pages.position)
    looked = table[place, last_click_above(pages, place) + 1] if places else np.zeros(place.shape)
    seen = cells.by_pair(expected(cells, theta, alpha)[0])
    return fitted(
        log,
        BrowseFromLastClick(examination=table),
        attraction=alpha,
        looks=seen,
        variance=prior.variance(alpha, seen),
        examination=looks_by_place(log, looked),
        usual=prior.usual(cells.by_pair(cells.clicks), seen),
    )
