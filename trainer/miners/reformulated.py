"""Who found nothing to click, typed something else and clicked, says what they had wanted."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Literal

import polars as pl
from pydantic import BaseModel, Field

from desireline.trainer.miners.base import Material
from desireline.trainer.miners.visits import retries
from desireline.trainer.pairs import Pair


class ReformulatedConfig(BaseModel, frozen=True, extra="forbid"):
    """What counts as another try at the same want."""

    kind: Literal["reformulated"] = "reformulated"
    #: The click on the later answer must be believed this much.
    min_grade: float = Field(default=0.3, ge=0, le=1)
    #: A longer silence between two searches ends the visit.
    pause_s: float = Field(default=300.0, gt=0)
    #: How many searches later the click may come.
    steps: int = Field(default=2, ge=1)
    #: Cosine of both queries by the incumbent: less alike is another want.
    min_likeness: float = Field(default=0.2, ge=-1, le=1)
    weight: float = Field(default=0.5, gt=0)


class Reformulated:
    """The query without a click is the anchor, what was clicked for its retry the positive.

    Assumption (Jones and Klinkner 2008; Huang and Efthimiadis 2009): within minutes and in like
    words, people rephrase one want more often than they turn to another. How often this log's
    people do is what the label model learns.
    """

    judged = False
    config_class = ReformulatedConfig

    def __init__(self, config: ReformulatedConfig | None = None) -> None:
        self._config = config or ReformulatedConfig()

    def mine(self, material: Material) -> Iterator[Pair]:
        """Yield one pair a query and document that a retry led to."""
        kept = self._config
        tried = retries(material.sessions, pause_s=kept.pause_s, steps=kept.steps)
        tried = tried.join(_believed(material, kept.min_grade), on=["retry", "document_id"])
        unanswered = set(material.sessions.unanswered.get_column("query"))
        for (query, document_id), ways in sorted(self._ways(tried, unanswered, material).items()):
            if positive := material.passage(document_id):
                yield Pair(
                    anchor=query,
                    positive=positive,
                    weight=kept.weight * max(grade for _, grade, _ in ways),
                    source="reformulated",
                    why=_sentence(ways),
                )

    def _ways(
        self, tried: pl.DataFrame, unanswered: set[str], material: Material
    ) -> dict[tuple[str, str], list[tuple[str, float, int]]]:
        """List the retries that led from a query to a document, leaving other wants out.

        Queries without any answer are left to the miner of those.
        """
        if material.likeness:
            material.likeness.read_queries([*tried["query"], *tried["retry"]])
        found: dict[tuple[str, str], list[tuple[str, float, int]]] = defaultdict(list)
        columns = ("query", "retry", "document_id", "grade", "clients")
        for query, retry, document_id, grade, clients in tried.select(columns).iter_rows():
            if query not in unanswered and self._alike(material, query, retry):
                found[query, document_id].append((retry, grade, clients))
        return found

    def _alike(self, material: Material, query: str, retry: str) -> bool:
        likeness = material.likeness
        return (
            likeness is None or likeness.between_queries(query, retry) >= self._config.min_likeness
        )


def _believed(material: Material, min_grade: float) -> pl.DataFrame:
    return material.judgments.frame.filter(pl.col("grade") >= min_grade).select(
        "document_id", "grade", retry="query"
    )


def _sentence(ways: list[tuple[str, float, int]]) -> str:
    retry, _, clients = max(ways, key=lambda way: (way[2], way[1], way[0]))
    return f"{clients} typed “{retry}” next and clicked it"
