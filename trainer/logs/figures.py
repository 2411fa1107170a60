"""What a click log looks like from above: counts that a person can check.

Two kinds of table are counted. `count_events` takes everything that was logged, before anyone
is left out: does it find its search? `draw` takes the joined rows without bots, every search
for itself: what did people see and choose?
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import polars as pl

from desireline.trainer.logs.k_anonymity import clients_by

#: A query is shown to people only when so many clients typed it who surely are different
#: people (see `k_anonymity`): words that fewer typed may say who they are.
SHOWN_FROM_CLIENTS = 5
#: Positions told one by one; what lies below is counted together.
POSITIONS = 20
_EXAMPLES = 10
#: Kinds of action told one by one.
_KINDS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One position of the page: how often a document stood there, and was clicked."""

    #: 1 is the top; None for several positions together, or an unknown one.
    position: int | None
    impressions: int
    clicks: int

    @property
    def click_through(self) -> float:
        """Clicks an impression, 0 to 1."""
        return self.clicks / self.impressions if self.impressions else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Queries that together make up about a third of all searches."""

    name: str
    queries: int
    searches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownQuery:
    """A query that enough different clients typed to be shown."""

    query: str
    searches: int
    clients: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedBy:
    """A document that was shown and never clicked."""

    document_id: str
    impressions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of action, by the name that the log gives it."""

    name: str
    events: int
    #: Whether it says something for a document (`sessions.actions`).
    counts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCounts:
    """Events as they were logged, bots too, duplicates once."""

    searches: int
    impressions: int
    #: The most frequent kinds of action, and how many events the others have.
    kinds: tuple[Kind, ...]
    of_other_kinds: int
    #: Actions that say something for a document.
    actions: int
    #: Of these, those whose search is in the log.
    joined: int
    #: Of the rest, those whose search is known by the text beside them.
    joined_by_text: int

    @property
    def joined_share(self) -> float:
        """Share of the actions that find a search, 0 to 1."""
        return (self.joined + self.joined_by_text) / self.actions if self.actions else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFigures:
    """What people saw and chose, bots left out; every number is an exact count."""

    searches: int
    #: Of which the log does not say what they showed.
    searches_without_results: int
    #: Of the searches with results: those without a click on anything.
    searches_without_click: int
    queries: int
    #: Typed twice or more.
    repeated_queries: int
    repeated_searches: int
    #: Head, torso and tail, as the gate compares them; those that have queries.
    segments: tuple[Segment, ...]
    #: Positions 1 to `POSITIONS`, as far down as documents were shown.
    places: tuple[Place, ...]
    #: Shown further down; shown at no known position.
    below: Place
    unplaced: Place
    documents_shown: int
    documents_clicked: int
    documents_never_clicked: int
    #: Of the documents never clicked, those most often shown.
    passed_by: tuple[PassedBy, ...]
    queries_never_clicked: int
    #: Of these, the most frequent, if at least `SHOWN_FROM_CLIENTS` clients typed them.
    never_clicked: tuple[KnownQuery, ...]
    #: The most frequent queries, under the same condition.
    frequent: tuple[KnownQuery, ...]
    #: Queries that fewer clients typed, or nobody known; they are never shown.
    queries_withheld: int


def count_events(
    *,
    searches: pl.DataFrame,
    impressions: pl.DataFrame,
    actions: pl.DataFrame,
    actions_by_text: pl.DataFrame,
    kinds: AbstractSet[str],
) -> EventCounts:
    """Count what was logged.

    Args:
        searches: column query_id, one row a search or page of it.
        impressions: one row an impression event.
        actions: columns query_id and kind; the id may be empty.
        actions_by_text: those of them whose search is known only by the text beside them.
        kinds: the kinds of action that count.

    """
    by_kind = actions.group_by("kind").len().sort("len", "kind", descending=[True, False])
    told = tuple(
        Kind(name=name, events=events, counts=name in kinds)
        for name, events in by_kind.head(_KINDS).iter_rows()
    )
    counts = pl.col("kind").is_in(list(kinds))
    counting = actions.filter(counts)
    return EventCounts(
        searches=searches.height,
        impressions=impressions.height,
        kinds=told,
        of_other_kinds=actions.height - sum(kind.events for kind in told),
        actions=counting.height,
        joined=counting.join(searches, on="query_id", how="semi").height,
        joined_by_text=actions_by_text.filter(counts).height,
    )


def draw(searches: pl.DataFrame, rows: pl.DataFrame) -> LogFigures:
    """Count what people saw and chose.

    Args:
        searches: one row a search, columns query_id, query, client.
        rows: one row a document of a search, as `Sessions.frame` has them; no bots.

    """
    outcomes = rows.group_by("query_id").agg(
        with_results=pl.col("shown").any(), clicked=pl.col("clicked").any()
    )
    told = searches.join(outcomes, on="query_id", how="left").with_columns(
        pl.col("with_results", "clicked").fill_null(value=False)
    )
    by_query = (
        told.group_by("query")
        .agg(searches=pl.len(), clicked=pl.col("clicked").any())
        .join(clients_by(searches, "query"), on="query", how="left")
    )
    by_document = rows.group_by("document_id").agg(
        impressions=pl.col("shown").sum(), clicks=pl.col("clicked").sum()
    )
    return LogFigures(
        **_of_searches(told),
        **_of_queries(by_query),
        **_of_documents(by_document),
        **_of_places(rows),
    )


def _of_searches(told: pl.DataFrame) -> dict[str, Any]:
    with_results = told.filter("with_results")
    return {
        "searches": told.height,
        "searches_without_results": told.height - with_results.height,
        "searches_without_click": with_results.filter(~pl.col("clicked")).height,
    }


def _of_queries(by_query: pl.DataFrame) -> dict[str, Any]:
    repeated = by_query.filter(pl.col("searches") > 1)
    never = by_query.filter(~pl.col("clicked"))
    known = pl.col("clients") >= SHOWN_FROM_CLIENTS
    return {
        "queries": by_query.height,
        "repeated_queries": repeated.height,
        "repeated_searches": int(repeated["searches"].sum()),
        "segments": _segments(by_query),
        "queries_never_clicked": never.height,
        "never_clicked": _known(never.filter(known)),
        "frequent": _known(by_query.filter(known)),
        "queries_withheld": by_query.filter(~known).height,
    }


def _known(queries: pl.DataFrame) -> tuple[KnownQuery, ...]:
    first = queries.sort("searches", "query", descending=[True, False]).head(_EXAMPLES)
    return tuple(
        KnownQuery(**row)
        for row in first.select("query", "searches", "clients").iter_rows(named=True)
    )


def _segments(by_query: pl.DataFrame) -> tuple[Segment, ...]:
    """Name the queries that make up a third of all searches each, most frequent first.

    Queries searched equally often go to the same segment, and those searched least are the tail,
    as in `evaluation.by_frequency`.
    """
    levels = (
        by_query.group_by("searches")
        .agg(queries=pl.len())
        .sort("searches", descending=True)
        .with_columns(of_level=pl.col("searches") * pl.col("queries"))
    )
    before = pl.col("of_level").cum_sum() - pl.col("of_level")
    total = pl.col("of_level").sum()
    name = (
        pl.when(pl.col("searches") == pl.col("searches").min())
        .then(pl.lit("tail"))
        .when(before < total / 3)
        .then(pl.lit("head"))
        .when(before < total * 2 / 3)
        .then(pl.lit("torso"))
        .otherwise(pl.lit("tail"))
    )
    found = levels.group_by(name.alias("name"), maintain_order=True).agg(
        pl.col("queries").sum(), searches=pl.col("of_level").sum()
    )
    return tuple(Segment(**row) for row in found.iter_rows(named=True))


def _of_documents(by_document: pl.DataFrame) -> dict[str, Any]:
    shown = by_document.filter(pl.col("impressions") > 0)
    passed_by = shown.filter(pl.col("clicks") == 0)
    first = passed_by.sort("impressions", "document_id", descending=[True, False]).head(_EXAMPLES)
    return {
        "documents_shown": shown.height,
        "documents_clicked": by_document.filter(pl.col("clicks") > 0).height,
        "documents_never_clicked": passed_by.height,
        "passed_by": tuple(
            PassedBy(**row)
            for row in first.select("document_id", "impressions").iter_rows(named=True)
        ),
    }


def _of_places(rows: pl.DataFrame) -> dict[str, Any]:
    counted = {
        position: (impressions, clicks)
        for position, impressions, clicks in rows.filter("shown")
        .group_by(pl.col("position").clip(upper_bound=POSITIONS + 1))
        .agg(pl.len(), pl.col("clicked").sum())
        .iter_rows()
    }
    below = _place(None, counted.pop(POSITIONS + 1, None))
    unplaced = _place(None, counted.pop(None, None))
    deepest = POSITIONS if below.impressions else max(counted, default=0)
    return {
        "places": tuple(_place(at, counted.get(at)) for at in range(1, deepest + 1)),
        "below": below,
        "unplaced": unplaced,
    }


def _place(position: int | None, counted: tuple[int, int] | None) -> Place:
    impressions, clicks = counted or (0, 0)
    return Place(position=position, impressions=impressions, clicks=clicks)
