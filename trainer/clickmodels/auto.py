"""The model that foretells held-out clicks best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, Field

from desireline.trainer.clickmodels.base import ClickLog, ClickModel, FittedClickModel
from desireline.trainer.clickmodels.cascade import Cascade
from desireline.trainer.clickmodels.coec import CoecPerImpression
from desireline.trainer.clickmodels.ctr import ClickThroughRate
from desireline.trainer.clickmodels.dependent import Dependent
from desireline.trainer.clickmodels.dynamic_bayesian import DynamicBayesian
from desireline.trainer.clickmodels.intervention_harvesting import Harvested
from desireline.trainer.clickmodels.latent_relevance import LatentRelevance
from desireline.trainer.clickmodels.position_based import PositionBased
from desireline.trainer.clickmodels.simplified_bayesian import SimplifiedBayesian
from desireline.trainer.clickmodels.user_browsing import UserBrowsing
from desireline.trainer.documents.pair_features import PairFeatures

#: What held-out executions of a query weigh in the fit: their documents are known, nothing else.
_NEXT_TO_NOTHING = 1e-9

#: A perplexity this much higher is as good as the best: the first such candidate is chosen.
_AS_GOOD = 1.001

#: The simpler before the richer, which are chosen only for foretelling more.
CANDIDATES: Mapping[str, type[ClickModel]] = {
    "latent": LatentRelevance,
    "pbm": PositionBased,
    "harvested": Harvested,
    "cascade": Cascade,
    "dcm": Dependent,
    "sdbn": SimplifiedBayesian,
    "ubm": UserBrowsing,
    "dbn": DynamicBayesian,
    "ctr": ClickThroughRate,
    "coec": CoecPerImpression,
}


#: The DBN foretells clicks well, yet its labels order documents worse than the simplified one's
#: do, even where users follow it (tests/benchmarks/click_models.py): it is compared where named.
_USUAL = tuple(name for name in CANDIDATES if name != "dbn")


class AutoConfig(BaseModel, frozen=True, extra="forbid"):
    """Among which models, and on what, the choice is made."""

    kind: Literal["auto"] = "auto"
    candidates: tuple[str, ...] = Field(default=_USUAL, min_length=1)
    #: Every n-th execution of a query is held out.
    held_out_every: int = Field(default=5, ge=2)
    #: Impressions below which a choice would be chance: the first candidate is taken.
    min_impressions: int = Field(default=500, ge=1)
    #: Of a longer log so many impressions are compared on; the chosen model is fitted to all.
    max_impressions: int = Field(default=1_000_000, ge=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How well one model foretells clicks that it has not seen."""

    name: str
    perplexity: float


class Auto:
    """Fits every candidate to most of the log, and the best one to all of it.

    The best is the one of lowest perplexity on the executions held out, or the first in the list
    that comes within a thousandth of it. A document that only those
    show is known to the models, without any weight, so that each can say what it holds of documents
    without clicks.
    """

    def __init__(self, config: AutoConfig | None = None) -> None:
        self._config = config or AutoConfig()

    def fit(self, log: ClickLog, features: PairFeatures | None = None) -> FittedClickModel:
        """Choose and fit; `sentence` says why, and what each candidate scored."""
        known, held_out = split(cut(log, self._config.max_impressions), self._config.held_out_every)
        first = self._config.candidates[0]
        judged = held_out.pages.count.sum()
        if judged < 1 or log.rows.height < self._config.min_impressions:
            sentence = (
                f"{first} was taken without a comparison: the log shows {log.rows.height:,}"
                f" documents, fewer than {self._config.min_impressions:,}, or none at a known"
                " position"
            )
            return replace(CANDIDATES[first]().fit(log, features), sentence=sentence)
        scores = [
            Score(
                name=name, perplexity=CANDIDATES[name]().fit(known, features).perplexity(held_out)
            )
            for name in self._config.candidates
        ]
        best = best_of(scores)
        chosen = CANDIDATES[best.name]().fit(log, features)
        sentence = _sentence(best, scores)
        if chosen.sentence:
            sentence = f"{sentence}; {chosen.sentence}"
        return replace(chosen, sentence=sentence)


def best_of(scores: Sequence[Score]) -> Score:
    """Return the first that foretells as well as the best."""
    enough = min(score.perplexity for score in scores) * _AS_GOOD
    return next(score for score in scores if score.perplexity <= enough)


def cut(log: ClickLog, most: int) -> ClickLog:
    """Keep about so many rows of a longer log: whole executions of queries, evenly spread."""
    step = -(-log.rows.height // most)
    if step <= 1:
        return log
    return ClickLog(log.rows.filter(pl.col("view").rank("dense") % step == 0))


def split(log: ClickLog, every: int) -> tuple[ClickLog, ClickLog]:
    """Hold out every n-th execution of a query; the rest knows its documents, not its clicks."""
    rows = log.rows
    chosen = (pl.col("view").rank("dense") % every) == 0
    out = rows.select(chosen).to_series()
    silent = rows.with_columns(
        share=pl.when(out).then(pl.col("share") * _NEXT_TO_NOTHING).otherwise("share"),
        clicked=pl.col("clicked") & ~out,
    )
    return ClickLog(silent), ClickLog(rows.filter(out))


def _sentence(best: Score, scores: Sequence[Score]) -> str:
    others = sorted((each for each in scores if each is not best), key=lambda each: each.perplexity)
    listed = ", ".join(f"{each.name} {_number(each.perplexity)}" for each in others)
    return (
        f"{best.name} was chosen for its perplexity of {_number(best.perplexity)} on held-out"
        " clicks" + (f" (others: {listed})" if listed else "")
    )


def _number(perplexity: float) -> str:
    return f"{perplexity:.4f}" if np.isfinite(perplexity) else "without bound"
