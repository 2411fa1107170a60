"""What was clicked together for other queries may answer this one too."""

from collections.abc import Iterator
from typing import Literal

import polars as pl
from pydantic import BaseModel, Field

from desireline.trainer.miners.base import Material
from desireline.trainer.pairs import Pair


class CoClickedConfig(BaseModel, frozen=True, extra="forbid"):
    """How far a walk over the click graph goes."""

    kind: Literal["co_clicked"] = "co_clicked"
    #: Judgments below this grade are no edge of the graph.
    min_grade: float = Field(default=0.5, ge=0, le=1)
    #: Least share of the walks from a query that end at the document.
    min_share: float = Field(default=0.1, gt=0, le=1)
    #: Documents found for one query; those that most walks reach first.
    most: int = Field(default=2, ge=1)
    #: A document under more queries than this leads anywhere.
    most_queries: int = Field(default=200, ge=1)
    weight: float = Field(default=0.5, gt=0)


class CoClicked:
    """Walks from a query to its documents, to their other queries, to those queries' documents.

    A random walk of three steps on the bipartite click graph (Craswell and Szummer 2007), each
    step drawn by grade. What it reaches and the query's own judgments do not hold is a
    positive, weighted by the share of walks that end there.
    """

    judged = False
    config_class = CoClickedConfig

    def __init__(self, config: CoClickedConfig | None = None) -> None:
        self._config = config or CoClickedConfig()

    def mine(self, material: Material) -> Iterator[Pair]:
        """Yield one pair a query and document that it is not judged right for itself."""
        for query, document_id, share in self._reached(material).iter_rows():
            if positive := material.passage(document_id):
                yield Pair(
                    anchor=query,
                    positive=positive,
                    weight=self._config.weight * share,
                    source="co_clicked",
                    why=f"{share:.0%} of walks over the click graph end there",
                )

    def _reached(self, material: Material) -> pl.DataFrame:
        edges = material.judgments.frame.filter(pl.col("grade") >= self._config.min_grade).select(
            "query", "document_id", "grade"
        )
        few = pl.len().over("document_id") <= self._config.most_queries
        edges = edges.with_columns(
            out=pl.col("grade") / pl.col("grade").sum().over("query"),
            back=pl.when(few).then(pl.col("grade") / pl.col("grade").sum().over("document_id")),
        )
        there = edges.drop_nulls("back")
        return (
            edges.lazy()
            .select("query", middle="document_id", first="out")
            .join(there.lazy().select("back", other="query", middle="document_id"), on="middle")
            .filter(pl.col("other") != pl.col("query"))
            .join(edges.lazy().select("document_id", other="query", last="out"), on="other")
            .group_by("query", "document_id")
            .agg(share=(pl.col("first") * pl.col("back") * pl.col("last")).sum())
            .join(edges.lazy(), on=["query", "document_id"], how="anti")
            .filter(pl.col("share") >= self._config.min_share)
            .sort("query", -pl.col("share"), "document_id")
            .group_by("query", maintain_order=True)
            .head(self._config.most)
            .select("query", "document_id", "share")
            .collect()
        )
