"""A query that found nothing at all is answered by what its retry found."""

from collections.abc import Iterator
from typing import Literal

import polars as pl
from pydantic import BaseModel, Field

from desireline.trainer.miners.base import Material
from desireline.trainer.miners.visits import retries
from desireline.trainer.pairs import Pair


class UnansweredConfig(BaseModel, frozen=True, extra="forbid"):
    """How far to look for what was wanted."""

    kind: Literal["unanswered"] = "unanswered"
    #: The click on the retry's answer must be believed this much.
    min_grade: float = Field(default=0.3, ge=0, le=1)
    #: A longer silence ends the visit.
    pause_s: float = Field(default=600.0, gt=0)
    steps: int = Field(default=3, ge=1)
    weight: float = Field(default=0.7, gt=0)


class Unanswered:
    """The query that nothing was shown for is the anchor, what was clicked next the positive.

    Who sees an empty page tries again for the same want more often than who sees a full one,
    and in quite other words; so words or vectors need not be alike. Such queries have no
    judgment of their own: without this they teach nothing.
    """

    judged = False
    config_class = UnansweredConfig

    def __init__(self, config: UnansweredConfig | None = None) -> None:
        self._config = config or UnansweredConfig()

    def mine(self, material: Material) -> Iterator[Pair]:
        """Yield one pair an unanswered query and document that a retry led to."""
        kept = self._config
        empty = material.sessions.unanswered.select("query").unique()
        answered = material.judgments.frame.filter(pl.col("grade") >= kept.min_grade)
        found = (
            retries(material.sessions, pause_s=kept.pause_s, steps=kept.steps)
            .join(empty, on="query", how="semi")
            .join(
                answered.select("document_id", "grade", retry="query"), on=["retry", "document_id"]
            )
            .sort("query", "document_id", "clients", "retry")
            .group_by("query", "document_id", maintain_order=True)
            .agg(pl.col("retry").last(), pl.col("grade").max(), pl.col("clients").sum())
        )
        for query, document_id, retry, grade, clients in found.iter_rows():
            if positive := material.passage(document_id):
                yield Pair(
                    anchor=query,
                    positive=positive,
                    weight=kept.weight * grade,
                    source="unanswered",
                    why=f"found nothing; {clients} typed “{retry}” next and clicked it",
                )
