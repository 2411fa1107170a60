"""What users passed over on the way down to a click is a negative."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Literal

import polars as pl
from pydantic import BaseModel, Field

from desireline.trainer.miners.base import Material, believed
from desireline.trainer.pairs import Pair, Passage
from desireline.trainer.sessions import Sessions


class SkippedAboveConfig(BaseModel, frozen=True, extra="forbid"):
    """How many negatives to take."""

    kind: Literal["skipped_above"] = "skipped_above"
    min_grade: float = Field(default=0.5, ge=0, le=1)
    #: The negatives of one pair; those that most looks passed over first.
    max_negatives: int = Field(default=4, ge=1)
    #: Looks that must have passed a document over: the sum, over its skips, of how likely a user
    #: looks at its position by the click model.
    min_looks: float = Field(default=0.1, ge=0)


class SkippedAbove:
    """A document shown above a click and not clicked was seen and judged worse.

    Assumption (Joachims 2002): users read from the top. A document below the last click may
    never have been looked at and says nothing; one above it was looked at as often as the click
    model says of its position. What is related to the query is spared.
    """

    judged = True
    config_class = SkippedAboveConfig

    def __init__(self, config: SkippedAboveConfig | None = None) -> None:
        self._config = config or SkippedAboveConfig()

    def mine(self, material: Material) -> Iterator[Pair]:
        """Yield one pair a believed judgment with what was skipped above it."""
        skipped = _skipped(
            material.sessions, material.judgments.examination, self._config.min_looks
        )
        for query, document_id, weight in believed(material.judgments, self._config.min_grade):
            positive = material.passage(document_id)
            negatives = self._negatives(material, query, skipped.get((query, document_id), ()))
            if positive and negatives:
                yield Pair(
                    anchor=query,
                    positive=positive,
                    negatives=negatives,
                    weight=weight,
                    source="skipped_above",
                    why=f"{len(negatives)} were passed over on the way to it",
                )

    def _negatives(
        self, material: Material, query: str, document_ids: tuple[str, ...] | list[str]
    ) -> tuple[Passage, ...]:
        spared = material.related.get(query, frozenset())
        passages = (material.passage(each) for each in document_ids if each not in spared)
        return tuple(passage for passage in passages if passage)[: self._config.max_negatives]


def _skipped(
    sessions: Sessions, examination: Mapping[int, float], min_looks: float
) -> dict[tuple[str, str], list[str]]:
    """List, by query and clicked document, what was skipped above it, most looked at first."""
    rows = sessions.frame.filter(pl.col("position").is_not_null())
    looks = pl.col("above").replace_strict(dict(examination), default=1.0, return_dtype=pl.Float64)
    clicks = rows.filter("clicked").select("query_id", "query", "document_id", "position")
    passed = rows.filter(pl.col("shown") & ~pl.col("clicked")).select(
        "query_id", skipped="document_id", above="position"
    )
    counted = (
        clicks.lazy()
        .join(passed.lazy(), on="query_id")
        .filter(pl.col("above") < pl.col("position"))
        .group_by("query", "document_id", "skipped")
        .agg(looks.sum().alias("looks"), pl.col("above").min())
        .filter(pl.col("looks") >= min_looks)
        .sort("query", "document_id", -pl.col("looks"), "above", "skipped")
        .collect()
    )
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for query, document_id, skipped in counted.select(
        "query", "document_id", "skipped"
    ).iter_rows():
        found[query, document_id].append(skipped)
    return found
