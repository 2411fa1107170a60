"""Our weak labels as search-relevance's judgments, and theirs as a truth of ours."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

import polars as pl

from desireline.connectors.judgment_files import read_judgment_lists
from desireline.connectors.relevance_judgments import JudgmentList, QuerySet, Rating
from desireline.trainer.judgments import Judgments
from desireline.trainer.measures.base import Qrels
from desireline.trainer.query_text import normalise

#: Digits of a rating; the rest of a grade is noise.
_DIGITS = 4


def to_judgment_list(
    judgments: Judgments,
    *,
    name: str,
    at: datetime,
    least_confidence: float = 0.0,
    queries: Sequence[str] | None = None,
) -> JudgmentList:
    """Return the labels as one list, best first within each query; ratings are grades of 0 to 1.

    Args:
        judgments: of a click model.
        name: of the list.
        at: when it was made, with its time zone.
        least_confidence: labels that are trusted less are left out.
        queries: only these, spelled so: search-relevance finds ratings by the very text. Without
            them, all queries as they are normalised here.

    """
    kept = judgments.frame.filter(pl.col("confidence") >= least_confidence).sort(
        ["query", "grade", "document_id"], descending=[False, True, False]
    )
    by_query = kept.group_by("query", maintain_order=True).agg(
        pl.col("document_id"), pl.col("grade", "confidence").round(_DIGITS)
    )
    ratings = {
        query: tuple(
            Rating(document_id=document_id, rating=grade, confidence=confidence)
            for document_id, grade, confidence in zip(*columns, strict=True)
        )
        for query, *columns in by_query.iter_rows()
    }
    if queries is not None:
        ratings = {
            text: ratings[known] for text in queries if (known := normalise(text)) in ratings
        }
    return JudgmentList(
        name=name,
        description="weak labels from clicks, made by desireline",
        ratings=ratings,
        at=at,
        metadata={"madeBy": "desireline", "perplexity": round(judgments.perplexity, _DIGITS)},
    )


def to_query_set(
    judgments: JudgmentList, *, name: str, most: int, taken: Callable[[str], bool]
) -> QuerySet:
    """Return the queries of a list that are `taken`, those with the most ratings first."""
    fit = filter(taken, judgments.ratings)
    ordered = sorted(fit, key=lambda query: (-len(judgments.ratings[query]), query))
    return QuerySet(
        name=name,
        description="queries of weak labels, made by desireline",
        queries=tuple(ordered[:most]),
        at=judgments.at,
    )


def to_qrels(lists: Iterable[JudgmentList]) -> Qrels:
    """Return lists as one truth: queries normalised, each list's greatest rating is grade 1.

    Where lists differ about a document, the better grade holds.
    """
    qrels: dict[str, dict[str, float]] = {}
    for judgments in lists:
        for query, grades in judgments.grades().items():
            row = qrels.setdefault(normalise(query), {})
            for document_id, grade in grades.items():
                row[document_id] = max(grade, row.get(document_id, 0.0))
    return qrels


def read_ratings(file: Path) -> Qrels:
    """Read the judgments of a file as one truth; see `to_qrels`. Raises JudgmentFormatError."""
    return to_qrels(read_judgment_lists(file))


def golden_of(qrels: Qrels, *, least_grade: float) -> list[tuple[str, str]]:
    """Return, for each query, its best document, where its grade is high enough and unshared.

    A query with several best documents pins none: an encoder that swaps them breaks nothing.
    """
    pins = []
    for query in sorted(qrels):
        grades = qrels[query]
        best = max(grades.values(), default=0.0)
        named = [document_id for document_id, grade in grades.items() if grade == best]
        if best >= least_grade and best > 0 and len(named) == 1:
            pins.append((query, named[0]))
    return pins
