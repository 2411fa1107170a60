"""Weak labels: how well each document answers each query, as far as clicks tell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl
from pydantic import BaseModel, Field

from desireline.trainer.clickmodels.base import ClickLog, ClickModel, FittedClickModel
from desireline.trainer.clickmodels.click_only import is_click_only, with_imputed_impressions
from desireline.trainer.documents.pair_features import PairFeatures
from desireline.trainer.session_counts import SessionCounts
from desireline.trainer.sessions import Sessions


class EvidenceConfig(BaseModel, frozen=True, extra="forbid"):
    """What one search and one click are worth; the kinds of actions are weighed by sessions."""

    half_life_days: float | None = Field(
        default=None,
        gt=0,
        description="A search this much older than the newest one counts half; left out: all"
        " count alike.",
    )
    long_dwell_s: float = Field(
        default=30.0, gt=0, description="Users who stay this many seconds or more were served."
    )
    long_dwell_weight: float = Field(
        default=1.5, ge=1, description="What such a click weighs, as a multiple of others."
    )
    impute: Literal["page", "last_click", "off"] = Field(
        default="page",
        description="Where a log holds clicks and nothing of what was shown: what to add as shown:"
        " page = what others clicked for the query, where they did; last_click = of that, what"
        " stands above the last click; off = nothing.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgments:
    """One row a (query, document_id) that was shown or clicked, sorted.

    Columns: query, document_id, grade (between 0 and 1), variance (of the grade), confidence
    (between 0 and 1), clicks, impressions (both as logged, old ones too), clients (distinct ones
    who clicked), weight (mean weight of the actions, newer ones more; 0 without any).
    """

    frame: pl.DataFrame
    #: How likely a user looks at each position, by the click model.
    examination: Mapping[int, float]
    #: Of the clicks given the model; 1 is certainty.
    perplexity: float
    #: Why this click model, where there was a choice; and what was imputed.
    sentence: str = ""


def click_log(sessions: Sessions, evidence: EvidenceConfig | None = None) -> ClickLog:
    """Show sessions to click models; old searches count less, where asked for."""
    evidence = evidence or EvidenceConfig()
    rows = sessions.frame.with_columns(
        view=pl.col("query_id").rank("dense").cast(pl.UInt32), share=_share(evidence)
    )
    return ClickLog(rows)


def judge(
    sessions: Sessions,
    click_model: ClickModel,
    features: PairFeatures | None = None,
    evidence: EvidenceConfig | None = None,
) -> Judgments:
    """Grade what was shown or clicked.

    The grade is the attraction, times the satisfaction where the model tells them apart.

    Args:
        sessions: joined searches.
        click_model: what clicks and skips mean.
        features: of the pairs, for click models that use them; see `describe_pairs`.
        evidence: what one search and one click are worth.

    """
    evidence = evidence or EvidenceConfig()
    log = click_log(sessions, evidence)
    log, imputed = _as_shown(log, evidence)
    found = click_model.fit(log, features)
    return Judgments(
        frame=_graded(sessions, found, evidence),
        examination=found.examination,
        perplexity=found.perplexity(log),
        sentence="; ".join(filter(None, [found.sentence, imputed])),
    )


def judge_counts(counts: SessionCounts, click_model: ClickModel) -> Judgments:
    """Grade as `judge` does, from counts alone: by models that need no order of clicks.

    Every search counts alike, however old, and how long anyone stayed is not known.
    """
    log = counts.log
    found = click_model.fit(log)
    return Judgments(
        frame=_with_people(found, counts.pairs),
        examination=found.examination,
        perplexity=found.perplexity(log),
        sentence=found.sentence,
    )


def _as_shown(log: ClickLog, evidence: EvidenceConfig) -> tuple[ClickLog, str]:
    """Fill in what a log of clicks alone does not say, and say so."""
    if evidence.impute == "off" or not is_click_only(log.rows):
        return log, ""
    filled = ClickLog(with_imputed_impressions(log.rows, evidence.impute))
    return filled, (
        "the log does not say what was shown:"
        f" {filled.rows.height - log.rows.height:,} impressions were imputed from clicks"
    )


def _share(evidence: EvidenceConfig) -> pl.Expr:
    """Weigh a search by its age, counted back from the newest one."""
    if evidence.half_life_days is None:
        return pl.lit(1.0)
    days = (pl.col("at").max() - pl.col("at")).dt.total_seconds() / 86_400
    return pl.lit(0.5).pow(days / evidence.half_life_days)


def _graded(sessions: Sessions, found: FittedClickModel, evidence: EvidenceConfig) -> pl.DataFrame:
    who = pl.when(pl.col("client") == "").then("query_id").otherwise("client")
    long = pl.col("dwell_s").fill_null(0.0) >= evidence.long_dwell_s
    worth = pl.col("weight") * pl.when(long).then(evidence.long_dwell_weight).otherwise(1.0)
    share = pl.col("share")
    people = (
        sessions.frame.with_columns(share=_share(evidence))
        .group_by("query", "document_id")
        .agg(
            impressions=pl.len(),
            clicks=pl.col("clicked").sum(),
            clients=who.filter("clicked").n_unique(),
            weight=(worth * share).filter("clicked").sum() / share.filter("clicked").sum(),
        )
    )
    return _with_people(found, people)


def _with_people(found: FittedClickModel, people: pl.DataFrame) -> pl.DataFrame:
    return (
        found.attractiveness.select(
            "query",
            "document_id",
            "variance",
            "confidence",
            grade=pl.col("attraction") * pl.col("satisfaction"),
        )
        .join(people, on=["query", "document_id"], maintain_order="left")
        .with_columns(pl.col("weight").fill_nan(0.0).fill_null(0.0))
        .select(
            "query",
            "document_id",
            "grade",
            "variance",
            "confidence",
            "clicks",
            "impressions",
            "clients",
            "weight",
        )
    )
