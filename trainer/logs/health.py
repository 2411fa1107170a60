"""How good a click log is, what is wrong with it, and what would make it better."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, cast

import polars as pl

from desireline.trainer.logs.defects import Explained, explain
from desireline.trainer.logs.figures import EventCounts, LogFigures
from desireline.trainer.logs.readiness import HIGHEST, Facts, Readiness, readiness

_FEW_CLIENTS = 3
_PLAIN = (
    "searches",
    "searches_with_results",
    "queries",
    "impressions",
    "clicks",
    "clicks_withheld",
    "min_clients",
    "clients",
    "days",
    "tier",
    "next_tier",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogHealth:
    """What a log holds once joined, bots left out, and its defects by name.

    The tier says what can be learned: 0 only what documents say of themselves; 1 also which
    were chosen; 2 also how position swayed the choice; 3 also how many people agree, and a
    split forward in time; 4 also whether they stayed.

    `searches` and `queries` are all those of people. What is to be learned from (impressions,
    clicks) counts a client's repeats of a query in a day once, and leaves out queries that too
    few clients typed, as the settings say; `figures` takes every search as it was.
    """

    searches: int
    #: Searches of which the log says what they showed.
    searches_with_results: int
    #: Distinct normalised query texts.
    queries: int
    impressions: int
    clicks: int
    #: Clicks that are not learned from: fewer than `min_clients` clients typed their query.
    clicks_withheld: int
    min_clients: int
    clients: int
    days: int
    first: datetime | None
    last: datetime | None
    tier: int
    #: One sentence: what unlocks the next tier.
    next_tier: str
    readiness: Readiness
    events: EventCounts
    figures: LogFigures
    #: How many events had each defect, by name; only those that occur.
    defects: Mapping[str, int] = field(default_factory=dict)
    #: Clients, searches and actions left out as a bot's; empty where there were none.
    bots: Mapping[str, int] = field(default_factory=dict)
    #: What else is not believed, by what and why: clients of each bot rule, clicks beyond a share,
    #: bursts, pairs that wait (see `trust`); only what occurs.
    left_out: Mapping[str, int] = field(default_factory=dict)
    #: What the user should know before trusting the result, one sentence each.
    warnings: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """One line for people."""
        return (
            f"{self.searches:,} searches, {self.clicks:,} clicks, {self.days} days;"
            f" tier {self.tier} of {HIGHEST}: {self.next_tier}"
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

    def explained(self) -> tuple[Explained, ...]:
        """Return the defects with what each means and how to mend it, the worst first."""
        return explain(self.defects)

    def to_json(self) -> dict[str, Any]:
        """Return plain values; shares and explanations are worked out."""
        places = [
            asdict(place) | {"click_through": place.click_through} for place in self.figures.places
        ]
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "first": self.first and self.first.isoformat(),
            "last": self.last and self.last.isoformat(),
            "readiness": asdict(self.readiness),
            "events": asdict(self.events) | {"joined_share": self.events.joined_share},
            "figures": asdict(self.figures) | {"places": places},
            "defects": dict(self.defects),
            "explained": [asdict(each) for each in self.explained()],
            "bots": dict(self.bots),
            "left_out": dict(self.left_out),
            "warnings": list(self.warnings),
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
    joined: pl.DataFrame,
    rows: pl.DataFrame,
    defects: Mapping[str, int],
    removed: Mapping[str, int],
    min_clients: int,
    events: EventCounts,
    figures: LogFigures,
) -> LogHealth:
    """Count a joined log.

    Args:
        raw: what was counted before the join.
        queries: searches and their pages, without bots.
        joined: what people saw and chose, also for queries that too few of them typed.
        rows: those of them to be learned from.
        defects: met on the way, by name.
        removed: what was left out as a bot's.
        min_clients: how many must have typed a query.
        events: as they were logged.
        figures: of what people saw and chose.

    """
    clicked = joined.filter("clicked")
    clicks = rows.filter("clicked").height
    clients = queries.filter(pl.col("client") != "").get_column("client").n_unique()
    days = _days(queries)
    ready = readiness(_facts(clicked, clients=clients, days=days))
    return LogHealth(
        searches=queries.get_column("query_id").n_unique(),
        searches_with_results=rows.filter("shown").get_column("query_id").n_unique(),
        queries=queries.get_column("query").n_unique(),
        impressions=rows.filter("shown").height,
        clicks=clicks,
        clicks_withheld=clicked.height - clicks,
        min_clients=min_clients,
        clients=clients,
        days=days,
        first=cast("datetime | None", queries.get_column("at").min()),
        last=cast("datetime | None", queries.get_column("at").max()),
        tier=ready.tier,
        next_tier=ready.next_step,
        readiness=ready,
        events=events,
        figures=figures,
        defects=_defects(raw, joined, clicked, defects),
        bots={name: count for name, count in removed.items() if count},
        warnings=_warnings(rows, clients=clients, min_clients=min_clients),
    )


def _days(queries: pl.DataFrame) -> int:
    return queries.select(pl.col("at").dt.date().n_unique()).item() if queries.height else 0


def _facts(clicked: pl.DataFrame, *, clients: int, days: int) -> Facts:
    return Facts(
        clicks=clicked.height,
        placed=_share(clicked, pl.col("shown") & pl.col("position").is_not_null()),
        named=_share(clicked, pl.col("client") != ""),
        with_dwell=_share(clicked, pl.col("dwell_s").is_not_null()),
        clients=clients,
        days=days,
    )


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
