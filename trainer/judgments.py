"""Weak labels: how well each document answers each query, as far as clicks tell."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from desireline.trainer.clickmodels.base import ClickModel
from desireline.trainer.pair_features import PairFeatures
from desireline.trainer.sessions import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgments:
    """One row a (query, document_id) that was shown or clicked, sorted.

    Columns: query, document_id, grade (between 0 and 1), confidence (between 0 and 1),
    clicks, impressions, clients (distinct ones who clicked), weight (mean weight of the
    actions; 0 without any).
    """

    frame: pl.DataFrame
    #: How likely a user looks at each position, by the click model.
    examination: Mapping[int, float]
    #: Of the clicks given the model; 1 is certainty.
    perplexity: float


def count(sessions: Sessions) -> pl.DataFrame:
    """Add up impressions and clicks by query, document_id, position and shown."""
    return (
        sessions.frame.with_columns(position=pl.when("shown").then("position"))
        .group_by("query", "document_id", "position", "shown")
        .agg(impressions=pl.len(), clicks=pl.col("clicked").sum())
        .sort("query", "document_id", "position", "shown")
    )


def judge(
    sessions: Sessions, click_model: ClickModel, features: PairFeatures | None = None
) -> Judgments:
    """Grade what was shown or clicked.

    Args:
        sessions: joined searches.
        click_model: what clicks and skips mean.
        features: of the pairs, for click models that use them; see `describe_pairs`.

    """
    found = click_model.fit(count(sessions), features)
    who = pl.when(pl.col("client") == "").then("query_id").otherwise("client")
    people = (
        sessions.frame.filter("clicked")
        .group_by("query", "document_id")
        .agg(clients=who.n_unique(), weight=pl.col("weight").mean())
    )
    frame = (
        found.frame.rename({"attraction": "grade"})
        .join(people, on=["query", "document_id"], how="left", maintain_order="left")
        .with_columns(pl.col("clients").fill_null(0), pl.col("weight").fill_null(0.0))
        .select(
            "query",
            "document_id",
            "grade",
            "confidence",
            "clicks",
            "impressions",
            "clients",
            "weight",
        )
    )
    return Judgments(frame=frame, examination=found.examination, perplexity=found.perplexity)
