"""What may be said about simulated users: who searches, what they look at, what they click."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, Field

ClickModelName = Literal["pbm", "cascade", "dcm", "sdbn", "dbn", "ubm"]
Impressions = Literal["listed", "events", "both"]


class SimulationConfig(BaseModel, frozen=True, extra="forbid"):
    """Who searches, what they look at, what they click.

    Whatever is off by default draws from dice of its own: turned on, it leaves the searches
    and clicks of the rest as they were.
    """

    searches: int = Field(default=60_000, ge=1)
    #: The n-th most frequent query is typed n^-zipf times as often as the first.
    zipf: float = Field(default=0.8, ge=0)
    shown: int = Field(default=20, ge=1)
    click_model: ClickModelName = "pbm"
    #: Position p is looked at with probability p^-examination_power (of the models that look by
    #: position: pbm; ubm counts positions from the last click).
    examination_power: float = Field(default=0.6, ge=0)
    attraction_relevant: float = Field(default=0.85, ge=0, le=1)
    attraction_other: float = Field(default=0.04, ge=0, le=1)
    #: Of dcm: goes on after a click this often.
    continuation: float = Field(default=0.5, ge=0, le=1)
    #: Of sdbn and dbn: a click on a right document, and on a wrong one, ends the search.
    satisfaction_relevant: float = Field(default=0.7, ge=0, le=1)
    satisfaction_other: float = Field(default=0.1, ge=0, le=1)
    #: Of dbn: looks at the next position this often while not satisfied.
    perseverance: float = Field(default=0.9, ge=0, le=1)
    #: Share of clicks on documents of grade 1 that put it into the cart, and of carts that are
    #: paid; of others, as much less as their grade is lower.
    carts: float = Field(default=0.0, ge=0, le=1)
    purchases: float = Field(default=0.0, ge=0, le=1)
    #: People stay on documents of grade 1 this many times as long as on wrong ones; with 1 the
    #: time tells nothing.
    dwell_ratio: float = Field(default=1.0, gt=0)
    clients: int = Field(default=20_000, ge=1)
    #: Networks that people come from; 0: the log names none.
    subnets: int = Field(default=0, ge=0, le=65_536)
    #: Clients that click anything, on top of the searches of people.
    bots: int = Field(default=5, ge=0)
    searches_a_bot: int = Field(default=600, ge=1)
    #: Share of searches without a click after which the same client tries other words.
    reformulations: float = Field(default=0.0, ge=0, le=1)
    #: Share of searches that were first typed in haste and found nothing.
    zero_results: float = Field(default=0.0, ge=0, le=1)
    #: Share of queries whose right answers become others in the middle of the time.
    drift: float = Field(default=0.0, ge=0, le=1)
    #: Share of queries that trade their popularity in the middle of the time.
    trend: float = Field(default=0.0, ge=0, le=1)
    #: How the log says what was shown: listed with the search, as events, or both.
    impressions: Impressions = "listed"
    first_day: datetime = datetime(2025, 3, 3, tzinfo=UTC)
    days: int = Field(default=42, ge=1)
    seed: int = 0

    @property
    def turn_s(self) -> float:
        """Seconds after the first day at which drift and trend set in."""
        return self.days * 86_400 / 2
