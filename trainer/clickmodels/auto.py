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
from desireline.trainer.pair_features import PairFeatures

#: What held-out executions of a query weigh in the fit: their documents are known, nothing else.
_NEXT_TO_NOTHING = 1e-9

#: Of two that foretell equally well, the first is chosen.
CANDIDATES: Mapping[str, type[ClickModel]] = {
    "latent": LatentRelevance,
    "pbm": PositionBased,
    "harvested": Harvested,
    "ubm": UserBrowsing,
    "dbn": DynamicBayesian,
    "sdbn": SimplifiedBayesian,
    "dcm": Dependent,
    "cascade": Cascade,
    "ctr": ClickThroughRate,
    "coec": CoecPerImpression,
}


class AutoConfig(BaseModel, frozen=True, extra="forbid"):
    """Among which models, and on what, the choice is made."""

    kind: Literal["auto"] = "auto"
    candidates: tuple[str, ...] = Field(default=tuple(CANDIDATES), min_length=1)
    #: Every n-th execution of a query is held out.
    held_out_every: int = Field(default=5, ge=2)
    #: Impressions below which a choice would be chance: the first candidate is taken.
    min_impressions: int = Field(default=500, ge=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How well one model foretells clicks that it has not seen."""

    name: str
    perplexity: float


class Auto:
    """Fits every candidate to most of the log, and the best one to all of it.

    The best is the one of lowest perplexity on the executions held out. A document that only those
    show is known to the models, without any weight, so that each can say what it holds of documents
    without clicks.
    """

    def __init__(self, config: AutoConfig | None = None) -> None:
        self._config = config or AutoConfig()

    def fit(self, log: ClickLog, features: PairFeatures | None = None) -> FittedClickModel:
        """Choose and fit; `sentence` says why, and what each candidate scored."""
        known, held_out = split(log, self._config.held_out_every)
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
        best = min(scores, key=lambda score: score.perplexity)
        chosen = CANDIDATES[best.name]().fit(log, features)
        sentence = _sentence(best, scores)
        if chosen.sentence:
            sentence = f"{sentence}; {chosen.sentence}"
        return replace(chosen, sentence=sentence)


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
        f"{best.name} was chosen: it foretells held-out clicks best, with perplexity"
        f" {_number(best.perplexity)}" + (f" ({listed})" if listed else "")
    )


def _number(perplexity: float) -> str:
    return f"{perplexity:.4f}" if np.isfinite(perplexity) else "without bound"
