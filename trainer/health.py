"""How good a click log is, what is wrong with it, and what would make it better."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import cast

import polars as pl

#: A log this short cannot be split forward in time with any meaning.
_ENOUGH_DAYS = 7
_FEW_CLIENTS = 3
_NEXT = {
    0: "log clicks with the query_id of the search they belong to to reach the next",
    1: "log the ids of the documents shown (query_response_hit_ids) to reach the next",
    2: f"log a client_id with every event, over {_ENOUGH_DAYS} days or more, to reach the next",
    3: "add dwell times (log what users do after a click) to reach the next",
    4: "nothing is missing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogHealth:
    """What a log holds once joined, bots left out, and its defects by name.

    The tier says what can be learned: 1 which documents were chosen; 2 also how position
    swayed the choice; 3 also how many people agree, and a split forward in time; 4 also
    whether they stayed. 0: nothing, no click can be joined to a query.
    """

    searches: int
    #: Searches of which the log says what they showed.
    searches_with_results: int
    #: Distinct normalised query texts.
    queries: int
    impressions: int
    clicks: int
    clients: int
    days: int
    first: datetime | None
    last: datetime | None
    tier: int
    #: One sentence: what unlocks the next tier.
    next_tier: str
    #: How many events had each defect, by name; only those that occur.
    defects: Mapping[str, int] = field(default_factory=dict)
    #: Clients, searches and actions left out as a bot's; empty where there were none.
    bots: Mapping[str, int] = field(default_factory=dict)
    #: What the user should know before trusting the result, one sentence each.
    warnings: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """One line for people."""
        return (
            f"{self.searches:,} searches, {self.clicks:,} clicks, {self.days} days;"
            f" tier {self.tier} of 4: {self.next_tier}"
        )

    def lines(self) -> list[str]:
        """Return the report for people."""
        return [
            self.sentence,
            f"{self.queries:,} distinct queries, {self.impressions:,} impressions,"
            f" {self.clients:,} clients",
            *(f"left out as a bot's: {count:,} {name}" for name, count in self.bots.items()),
            *(f"defect: {count:,} {name}" for name, count in self.defects.items()),
            *(f"warning: {warning}" for warning in self.warnings),
        ]

    def to_json(self) -> dict[str, object]:
        """Return plain values."""
        values = asdict(self)
        return values | {
            "first": self.first and self.first.isoformat(),
            "last": self.last and self.last.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCounts:
    """What can only be counted before the join."""

    unknown_queries: int
    without_hits: int


def examine(
    *,
    raw: RawCounts,
    queries: pl.DataFrame,
    rows: pl.DataFrame,
    defects: Mapping[str, int],
    removed: Mapping[str, int],
    min_clients: int,
) -> LogHealth:
    """Count a joined log. `queries` and `rows` are without bots."""
    clicked = rows.filter("clicked")
    clients = queries.filter(pl.col("client") != "").get_column("client").n_unique()
    days = _days(queries)
    tier = _tier(clicked, clients=clients, days=days)
    return LogHealth(
        searches=queries.get_column("query_id").n_unique(),
        searches_with_results=rows.filter("shown").get_column("query_id").n_unique(),
        queries=queries.get_column("query").n_unique(),
        impressions=rows.filter("shown").height,
        clicks=clicked.height,
        clients=clients,
        days=days,
        first=cast("datetime | None", queries.get_column("at").min()),
        last=cast("datetime | None", queries.get_column("at").max()),
        tier=tier,
        next_tier=_NEXT[tier],
        defects=_defects(raw, rows, clicked, defects),
        bots={name: count for name, count in removed.items() if count},
        warnings=_warnings(rows, clients=clients, min_clients=min_clients),
    )


def _days(queries: pl.DataFrame) -> int:
    return queries.select(pl.col("at").dt.date().n_unique()).item() if queries.height else 0


def _tier(clicked: pl.DataFrame, *, clients: int, days: int) -> int:
    """Climb until something is missing."""
    if not clicked.height:
        return 0
    placed = pl.col("shown") & pl.col("position").is_not_null()
    if _share(clicked, placed) < 0.5:  # noqa: PLR2004 - most clicks must have a place
        return 1
    if _share(clicked, pl.col("client") != "") < 0.5 or clients < 2 or days < _ENOUGH_DAYS:  # noqa: PLR2004
        return 2
    # Every last event of a visit has no dwell, so half of all clicks may lack it.
    return 4 if _share(clicked, pl.col("dwell_s").is_not_null()) > 0.2 else 3  # noqa: PLR2004


def _share(frame: pl.DataFrame, condition: pl.Expr) -> float:
    return float(frame.select(condition.mean()).item() or 0.0)


def _defects(
    raw: RawCounts, rows: pl.DataFrame, clicked: pl.DataFrame, defects: Mapping[str, int]
) -> dict[str, int]:
    with_list = rows.filter("shown").select("query_id").unique()
    not_shown = clicked.filter(~pl.col("shown")).join(with_list, on="query_id", how="semi")
    found = {
        **defects,
        "events of unknown queries": raw.unknown_queries,
        "queries without hit ids": raw.without_hits,
        "clicks without position": clicked.filter(pl.col("position").is_null()).height,
        "clicks on documents not shown": not_shown.height,
    }
    return {name: count for name, count in found.items() if count}


def _warnings(rows: pl.DataFrame, *, clients: int, min_clients: int) -> tuple[str, ...]:
    if not clients:
        return (
            (
                "no event names a client, so one person or bot can weigh as much as all others "
                "together; log a client_id"
            ),
        )
    if min_clients >= _FEW_CLIENTS:
        return ()
    named = rows.filter(pl.col("clicked") & (pl.col("client") != ""))
    rare = named.group_by("query").agg(pl.col("client").n_unique())
    count = rare.filter(pl.col("client") < _FEW_CLIENTS).height
    if not count:
        return ()
    return (
        (
            f"{count} queries come from fewer than {_FEW_CLIENTS} clients and may be personal "
            f"or planted; min_clients = {_FEW_CLIENTS} leaves them out"
        ),
    )
