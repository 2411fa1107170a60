"""Query sets and judgments as OpenSearch's search-relevance keeps and takes them.

One list of judgments has three shapes: the request that imports it, the document that the plugin
keeps, and the answer of a search for such documents. Releases differ: ratings are numbers or
text, lists or objects by query. All are read; the present shape is written.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from desireline.connectors.errors import JudgmentFormatError
from desireline.connectors.ubi_records import parse_time

IMPORTED = "IMPORT_JUDGMENT"
#: Key of a rating that is ours: how far to trust it. The plugin's import drops it.
CONFIDENCE = "confidence"
_RATINGS = ("judgmentRatings", "judgmentScores")
_RATING = ("rating", "score")
_PLACE = "nothing was imported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """How well one document answers one query, on the scale of its list."""

    document_id: str
    rating: float
    #: Between 0 and 1; None where the list does not say.
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgmentList:
    """A named list of ratings by query."""

    name: str
    ratings: Mapping[str, tuple[Rating, ...]]
    type: str = IMPORTED
    description: str = ""
    judgment_id: str = ""
    at: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def greatest(self) -> float:
        """The greatest rating of the list; 0 without any above 0."""
        return max((each.rating for row in self.ratings.values() for each in row), default=0.0)

    @property
    def size(self) -> int:
        """How many ratings there are."""
        return sum(map(len, self.ratings.values()))

    def grades(self) -> dict[str, dict[str, float]]:
        """Return grades between 0 and 1 by query and document: ratings over the greatest."""
        greatest = self.greatest or 1.0
        return {
            query: {each.document_id: max(0.0, each.rating) / greatest for each in row}
            for query, row in self.ratings.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class QuerySet:
    """A named list of queries."""

    name: str
    queries: tuple[str, ...]
    description: str = ""
    sampling: str = "manual"
    query_set_id: str = ""
    at: datetime | None = None


def documents_of(body: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the documents of one object, a list of them, or the answer of a search."""
    if isinstance(body, Mapping) and isinstance(body.get("hits"), Mapping):
        for hit in body["hits"].get("hits", ()):
            yield {"id": hit.get("_id", ""), **(hit.get("_source") or {})}
    elif isinstance(body, Mapping):
        yield body
    elif isinstance(body, list):
        for each in body:
            yield from documents_of(each)


def parse_judgments(body: Mapping[str, Any], place: str) -> JudgmentList:
    """Read one list. Raises JudgmentFormatError, naming the place, at the first wrong entry."""
    given = next((body[name] for name in _RATINGS if name in body), None)
    ratings = {query: _row(row, query, place) for query, row in _by_query(given, place)}
    if not ratings:
        raise JudgmentFormatError(
            f"{place} holds no judgmentRatings; {_PLACE}",
            next_step="give a list of judgments, not another object of search-relevance",
        )
    return JudgmentList(
        name=str(body.get("name") or "judgments"),
        ratings=ratings,
        type=str(body.get("type") or IMPORTED),
        description=str(body.get("description") or ""),
        judgment_id=str(body.get("id") or ""),
        at=parse_time(body.get("timestamp")),
        metadata=body.get("metadata") or {},
    )


def judgments_document(judgments: JudgmentList) -> dict[str, Any]:
    """Return the list as the plugin keeps it in its index."""
    return {
        "id": judgments.judgment_id,
        "timestamp": _time(judgments.at),
        "name": judgments.name,
        "status": "COMPLETED",
        "type": judgments.type,
        "metadata": dict(judgments.metadata),
        "judgmentRatings": _written(judgments, with_confidence=True),
    }


def judgments_request(judgments: JudgmentList) -> dict[str, Any]:
    """Return the list as the plugin's API imports it; confidences have no place in it."""
    return {
        "name": judgments.name,
        "description": judgments.description,
        "type": IMPORTED,
        "judgmentRatings": _written(judgments, with_confidence=False),
    }


def parse_query_set(body: Mapping[str, Any], place: str) -> QuerySet:
    """Read one query set, in which queries are texts or objects, in a list or as keys."""
    given = body.get("querySetQueries")
    entries = [*given] if isinstance(given, list | Mapping) else []
    texts = [_text_of(entry) for entry in entries]
    if not texts or not all(texts):
        raise JudgmentFormatError(
            f"{place} holds no querySetQueries, or one without queryText; {_PLACE}"
        )
    return QuerySet(
        name=str(body.get("name") or "queries"),
        queries=tuple(dict.fromkeys(texts)),
        description=str(body.get("description") or ""),
        sampling=str(body.get("sampling") or "manual"),
        query_set_id=str(body.get("id") or ""),
        at=parse_time(body.get("timestamp")),
    )


def query_set_document(queries: QuerySet) -> dict[str, Any]:
    """Return the set as the plugin keeps it in its index."""
    return {
        "id": queries.query_set_id,
        "timestamp": _time(queries.at),
        "name": queries.name,
        "description": queries.description,
        "sampling": queries.sampling,
        "querySetQueries": [{"queryText": text} for text in queries.queries],
    }


def query_set_request(queries: QuerySet) -> dict[str, Any]:
    """Return the set as the plugin's API takes it, its queries given by hand."""
    return {
        "name": queries.name,
        "description": queries.description,
        "sampling": "manual",
        "querySetQueries": [{"queryText": text} for text in queries.queries],
    }


def _by_query(given: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(given, Mapping):
        yield from given.items()
        return
    for entry in given if isinstance(given, list) else ():
        if not isinstance(entry, Mapping) or not isinstance(entry.get("query"), str):
            raise JudgmentFormatError(
                f"{place}: an entry of judgmentRatings names no query; {_PLACE}"
            )
        yield entry["query"], entry.get("ratings")


def _row(given: Any, query: str, place: str) -> tuple[Rating, ...]:
    if isinstance(given, Mapping):
        given = [{"docId": key, "rating": rating} for key, rating in given.items()]
    if not isinstance(given, list):
        raise JudgmentFormatError(f"{place}: the query {query!r} has no list of ratings; {_PLACE}")
    return tuple(_rating(entry, query, place) for entry in given)


def _rating(entry: Any, query: str, place: str) -> Rating:
    named = entry if isinstance(entry, Mapping) else {}
    document_id = named.get("docId")
    rating = _number(next((named[name] for name in _RATING if name in named), None))
    if document_id in {None, ""} or rating is None:
        raise JudgmentFormatError(
            f"{place}: a rating of the query {query!r} is not a docId with a number; {_PLACE}"
        )
    return Rating(
        document_id=str(document_id), rating=rating, confidence=_number(named.get(CONFIDENCE))
    )


def _number(value: Any) -> float | None:
    """Return a finite number written as number or text; None for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _text_of(entry: Any) -> str:
    text = entry.get("queryText") if isinstance(entry, Mapping) else entry
    return str(text).strip() if text is not None else ""


def _written(judgments: JudgmentList, *, with_confidence: bool) -> list[dict[str, Any]]:
    return [
        {"query": query, "ratings": [_entry(each, with_confidence) for each in row]}
        for query, row in judgments.ratings.items()
    ]


def _entry(rating: Rating, with_confidence: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"docId": rating.document_id, "rating": repr(rating.rating)}
    if with_confidence and rating.confidence is not None:
        entry[CONFIDENCE] = rating.confidence
    return entry


def _time(at: datetime | None) -> str | None:
    return at.isoformat(timespec="milliseconds") if at else None
