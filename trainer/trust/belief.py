"""Whom to believe: what may teach, what waits, what is left out, and who may judge.

Clicks are written by whoever sends them. Four defences stand between sessions and judgments:
limits of influence (`influence`), clicks that looks cannot explain (`plausibility`), bursts
against a pair's own history (`bursts`), and a wait of one window for pairs that are new. Clients
of whom half was left out teach what is left, but do not judge a candidate. None of it can tell
many patient people from many patient attackers who look and skip as people do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl
from pydantic import BaseModel, Field

from desireline.trainer.sessions import Sessions
from desireline.trainer.trust.bursts import BURST, BurstConfig, find_bursts, window_of
from desireline.trainer.trust.influence import InfluenceConfig, leave_out, limit_influence
from desireline.trainer.trust.plausibility import (
    FAR_DOWN,
    TOO_EAGER,
    PlausibilityConfig,
    find_eager,
    find_far_down,
    looks_of,
)

NEW = "new pairs that wait one window"
DOUBTED = "clients that may not judge"
#: A client of whose clicks this share was left out is doubted.
_DOUBT = 0.5


class JudgesConfig(BaseModel, frozen=True, extra="forbid"):
    """Whose searches may judge a candidate."""

    known_only: bool = Field(
        default=True,
        description="Only clients seen before the searches that judge; not where those are fewer"
        " than half, for then newcomers are usual (or the salt of their names was changed).",
    )
    searches_a_client: int = Field(
        default=20, ge=1, description="Most searches by which one client judges."
    )
    share_a_subnet: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Most of the searches that judge which may come from one subnet.",
    )


class TrustConfig(BaseModel, frozen=True, extra="forbid"):
    """How hard it is to teach a target by pretending to be its users."""

    window_s: float = Field(
        default=86_400.0,
        gt=0,
        description="Length of a window in seconds: what is new waits one, and a burst is what"
        " stands out in one.",
    )
    wait: bool = Field(
        default=True,
        description="Whether a pair whose first click lies in the log's last window waits.",
    )
    influence: InfluenceConfig = Field(
        default=InfluenceConfig(), description="Most that one client or one subnet may say."
    )
    plausibility: PlausibilityConfig = Field(
        default=PlausibilityConfig(), description="When clicks are too many for where they are."
    )
    bursts: BurstConfig = Field(
        default=BurstConfig(), description="When clicks come too thick to be believed at once."
    )
    judges: JudgesConfig = Field(
        default=JudgesConfig(), description="Whose searches may judge a candidate."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """The sessions that are believed, and what was done for it."""

    #: Without the rows that are not believed, and without what doubted clients searched in vain;
    #: `waiting`, `doubted` and the counts of its health report are set.
    sessions: Sessions
    #: The clicks left out by reason, then pairs that wait and clients doubted; only what occurs.
    left_out: Mapping[str, int]
    #: Clicks there were.
    clicks: int

    @property
    def sentence(self) -> str:
        """One line for people."""
        if not self.clicks:
            return "there are no clicks yet"
        if not self.left_out:
            return f"all {self.clicks:,} clicks may teach"
        found = ", ".join(f"{count:,} {name}" for name, count in self.left_out.items())
        return f"{found}; of {self.clicks:,} clicks"


def trust(sessions: Sessions, config: TrustConfig | None = None) -> Trusted:
    """Leave out what no honest user would have to do, and say what and why.

    The result depends on the events alone, never on their order.
    """
    config = config or TrustConfig()
    judged = sessions.frame.with_columns(left_out=pl.lit(None, dtype=pl.String))
    for who in ("client", "subnet"):
        far_down = find_far_down(_believed(judged), who, config.plausibility)
        judged = leave_out(judged, far_down, [who], FAR_DOWN)
    judged = limit_influence(judged, config.influence)
    judged = _without_bursts(judged, config)
    looks = looks_of(replace(sessions, frame=_believed(judged)), config.plausibility)
    eager = find_eager(_believed(judged), looks, config.plausibility)
    judged = leave_out(judged, eager, ["query", "document_id"], TOO_EAGER)
    believed = _believed(judged)
    waiting = _new_pairs(believed, config) if config.wait else sessions.waiting
    doubted = _doubted(judged)
    left_out = _counts(judged, waiting, doubted)
    health = replace(sessions.health, left_out={**sessions.health.left_out, **left_out})
    return Trusted(
        sessions=replace(
            sessions,
            frame=believed,
            health=health,
            waiting=waiting,
            doubted=doubted,
            unanswered=sessions.unanswered.filter(~pl.col("client").is_in(doubted.implode())),
        ),
        left_out=left_out,
        clicks=judged.select(pl.col("clicked").sum()).item(),
    )


def may_judge(sessions: Sessions, boundary: datetime, config: JudgesConfig) -> pl.Series:
    """Return the query_ids from the boundary on that may judge.

    They are chosen by who searched and when, never by what was clicked: what is left is as fair
    a sample of clicks as the whole.
    """
    searches = _undoubted(sessions)
    later = searches.filter(pl.col("at") >= boundary)
    if config.known_only:
        before = searches.filter((pl.col("at") < boundary) & (pl.col("client") != ""))
        known = later.join(before, on="client", how="semi")
        later = known if 2 * known.height >= later.height else later
    return _limited(later, config)


def may_judge_before(sessions: Sessions, boundary: datetime, config: JudgesConfig) -> pl.Series:
    """Return the query_ids before the boundary that may judge, as `may_judge` does for the rest.

    A known client is one that searched before the search by which it judges.
    """
    searches = _undoubted(sessions).filter(pl.col("at") < boundary)
    if config.known_only:
        first = pl.col("at").min().over("client")
        known = searches.filter((pl.col("client") != "") & (pl.col("at") > first))
        searches = known if 2 * known.height >= searches.height else searches
    return _limited(searches, config)


def _undoubted(sessions: Sessions) -> pl.DataFrame:
    return (
        sessions.frame.group_by("query_id")
        .agg(pl.col("client", "subnet").first(), pl.col("at").min())
        .filter(~pl.col("client").is_in(sessions.doubted.implode()))
    )


def _limited(searches: pl.DataFrame, config: JudgesConfig) -> pl.Series:
    """Let no client and no subnet judge by more than its share."""
    searches = _first_of("client", searches, config.searches_a_client)
    of_subnet = max(config.searches_a_client, round(config.share_a_subnet * searches.height))
    return _first_of("subnet", searches, of_subnet).get_column("query_id")


def _first_of(who: str, searches: pl.DataFrame, most: int) -> pl.DataFrame:
    """Keep the first searches of each; those of nobody known are not counted."""
    nth = pl.int_range(1, pl.len() + 1).over(who, order_by=["at", "query_id"])
    return searches.filter((pl.col(who) == "") | (nth <= most))


def _believed(judged: pl.DataFrame) -> pl.DataFrame:
    return judged.filter(pl.col("left_out").is_null()).drop("left_out")


def _without_bursts(judged: pl.DataFrame, config: TrustConfig) -> pl.DataFrame:
    """Leave out all that a bursting pair's window holds: without its skips it is no demotion."""
    bursts = find_bursts(_believed(judged), config.window_s, config.bursts)
    windowed = judged.with_columns(window_of(config.window_s))
    return leave_out(windowed, bursts, bursts.columns, BURST).drop("window")


def _new_pairs(believed: pl.DataFrame, config: TrustConfig) -> pl.DataFrame:
    """List the pairs that nobody clicked before the log's last window."""
    window = window_of(config.window_s)
    last = believed.select(window.max()).item()
    return (
        believed.filter("clicked")
        .group_by("query", "document_id")
        .agg(window.min())
        .filter(pl.col("window").eq_missing(last))
        .select("query", "document_id")
        .sort("query", "document_id")
    )


def _doubted(judged: pl.DataFrame) -> pl.Series:
    clicks = judged.filter(pl.col("clicked") & (pl.col("client") != "")).group_by("client")
    shares = clicks.agg(share=pl.col("left_out").is_not_null().mean())
    return shares.filter(pl.col("share") >= _DOUBT).get_column("client").sort()


def _counts(judged: pl.DataFrame, waiting: pl.DataFrame, doubted: pl.Series) -> dict[str, int]:
    reasons = judged.filter(pl.col("clicked") & pl.col("left_out").is_not_null())
    found = dict(reasons.group_by("left_out").len().sort("left_out").iter_rows())
    counts = {**found, NEW: waiting.height, DOUBTED: doubted.len()}
    return {name: count for name, count in counts.items() if count}
