"""Port: what was shown and clicked becomes how attractive each document is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

from desireline.trainer.clickmodels.click_log import UNKNOWN_POSITION, ClickLog, CountArrays, Pages
from desireline.trainer.clickmodels.users import (
    Booleans,
    Indices,
    Layout,
    Numbers,
    Users,
    click_probability,
    sample,
)
from desireline.trainer.documents.pair_features import PairFeatures

__all__ = [
    "UNKNOWN_POSITION",
    "Booleans",
    "ClickLog",
    "ClickModel",
    "ClickNoise",
    "CountArrays",
    "FittedClickModel",
    "Indices",
    "Numbers",
    "Pages",
    "fitted",
    "surprise",
]

#: No click is held impossible, nor certain.
_LEAST_CHANCE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickNoise:
    """How users look and err: P(click) = examination(position) x one of two attractions."""

    #: By position; `UNKNOWN_POSITION` for unknown ones.
    examination: Mapping[int, float]
    #: Of documents that are not relevant.
    accident: float
    #: Of relevant documents; above `accident`.
    relevant: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedClickModel:
    """A click model with its numbers known.

    `attractiveness` has one row a (query, document_id), sorted: attraction (between 0 and 1),
    satisfaction (P(a click satisfies); 1 where the model knows no such thing), variance (of
    attraction x satisfaction), confidence (between 0 and 1: how much of it is this pair's own
    evidence), impressions, clicks.
    """

    attractiveness: pl.DataFrame
    #: How the users of this log go through a page.
    users: Users
    #: The positions whose places `users` knows, ascending.
    positions: Indices
    #: How likely a user looks at each position; `UNKNOWN_POSITION` for unknown ones.
    examination: Mapping[int, float]
    #: Attraction of a pair of which nothing is known.
    usual: float
    #: Why this model and no other; empty where there was no choice.
    sentence: str = ""

    def click_probability(self, log: ClickLog) -> Numbers:
        """P(click on each answer of `log.pages` | the clicks above it). Shape (pages, ranks)."""
        pages = log.pages
        return click_probability(self.users, self._layout(log, pages), pages.clicked)

    def perplexity(self, log: ClickLog) -> float:
        """2 to the mean negative log2 likelihood of an impression; 1 is certainty, 2 a coin.

        The likelihood of each impression is the one given the clicks above it, so that their
        product is the likelihood of the log. What was shown nobody knows where is left out; a log
        without any known position has perplexity 1.
        """
        pages = log.pages
        return surprise(
            self.click_probability(log), pages.clicked, pages.count[:, None] * pages.there
        )

    def sample(self, log: ClickLog, random: np.random.Generator) -> ClickLog:
        """Show the pages of a log to users of this model; return the log that they leave."""
        pages = log.pages
        again = np.repeat(np.arange(len(pages.count)), np.round(pages.count).astype(np.intp))
        layout = self._layout(log, pages)
        shown = Layout(
            place=layout.place[again],
            appeal=layout.appeal[again],
            satisfaction=layout.satisfaction[again],
            there=pages.there[again],
        )
        view, rank = np.nonzero(shown.there)
        clicked = sample(self.users, shown, random)[view, rank]
        return ClickLog(
            log.pairs[pages.pair[again][view, rank]].select(
                "query",
                "document_id",
                view=pl.Series(view.astype(np.uint32)),
                position=pl.Series(pages.position[again][view, rank].astype(np.int32)),
                shown=pl.lit(value=True),
                clicked=pl.Series(clicked),
                share=pl.lit(1.0),
            )
        )

    def _layout(self, log: ClickLog, pages: Pages) -> Layout:
        found = log.pairs.select("query", "document_id").join(
            self.attractiveness.select("query", "document_id", "attraction", "satisfaction"),
            on=["query", "document_id"],
            how="left",
            maintain_order="left",
        )
        attraction = found.get_column("attraction").fill_null(self.usual).to_numpy()
        satisfaction = found.get_column("satisfaction").fill_null(strategy="mean").fill_null(1.0)
        place = np.searchsorted(self.positions, pages.position, side="right") - 1
        return Layout(
            place=np.maximum(place, 0).astype(np.intp),
            appeal=_lookup(self.users.appeal(attraction), pages.pair),
            satisfaction=_lookup(satisfaction.to_numpy(), pages.pair),
            there=pages.there,
        )


class ClickModel(Protocol):
    """Tells what users want from where they look."""

    def fit(self, log: ClickLog, features: PairFeatures | None = None) -> FittedClickModel:
        """Estimate the attraction of every pair.

        Args:
            log: what was shown and clicked; `log.arrays` counts it, `log.pages` keeps the order.
            features: what is known of each pair beside its clicks; a model may ignore it.

        """
        ...


def fitted(
    log: ClickLog,
    users: Users,
    *,
    attraction: Numbers,
    looks: Numbers,
    variance: Numbers,
    examination: Numbers,
    usual: float,
    satisfaction: Numbers | None = None,
) -> FittedClickModel:
    """Put the estimates of a model together.

    Args:
        log: what they were made from.
        users: how they go through a page.
        attraction: of each pair.
        looks: expected number of times that each pair was looked at.
        variance: of each pair's attraction x satisfaction.
        examination: of each place of `log.arrays.positions`.
        usual: attraction of a pair of which nothing is known.
        satisfaction: of each pair; 1 if left out.

    """
    satisfied = np.ones(len(attraction)) if satisfaction is None else satisfaction
    return FittedClickModel(
        attractiveness=log.pairs.with_columns(
            attraction=pl.Series(attraction, dtype=pl.Float64),
            satisfaction=pl.Series(satisfied, dtype=pl.Float64),
            variance=pl.Series(variance, dtype=pl.Float64),
            confidence=pl.Series(looks / (looks + 2.0), dtype=pl.Float64),
        ),
        users=users,
        positions=log.positions,
        examination=dict(zip(log.arrays.positions, examination.tolist(), strict=True)),
        usual=usual,
    )


def surprise(chance: Numbers, clicked: Booleans | Numbers, weight: Numbers) -> float:
    """2 to the mean negative log2 likelihood, by weight; 1 without any weight.

    Args:
        chance: of each click.
        clicked: whether it came, or which share of the impressions.
        weight: how often that was.

    """
    total = float(np.sum(weight))
    if not total:
        return 1.0
    chance = np.clip(chance, _LEAST_CHANCE, 1 - _LEAST_CHANCE)
    likelihood = clicked * np.log2(chance) + (1.0 - clicked) * np.log2(1 - chance)
    return float(2 ** -(np.sum(weight * likelihood) / total))


def _lookup(values: Numbers, pair: Indices) -> Numbers:
    """Give each answer of each page the value of its pair."""
    return values[pair] if len(values) else np.zeros(pair.shape)
