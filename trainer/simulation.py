"""Users sampled from a known click model, so that labels and gates can be tried on a truth."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from desireline.connectors.events import Action, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.trainer.clickmodels.position_based import sample_clicks
from desireline.trainer.errors import NothingToLearnError
from desireline.trainer.measures.base import Run

_SEARCHES_A_BATCH = 5_000
#: What a user does last; it is no click, it only says when the dwell of the last click ended.
LEAVE = "leave"


class SimulationConfig(BaseModel, frozen=True, extra="forbid"):
    """Who searches, what they look at, what they click."""

    searches: int = Field(default=60_000, ge=1)
    #: The n-th most frequent query is typed n^-zipf times as often as the first.
    zipf: float = Field(default=0.8, ge=0)
    shown: int = Field(default=20, ge=1)
    #: Position p is looked at with probability p^-examination_power.
    examination_power: float = Field(default=0.6, ge=0)
    attraction_relevant: float = Field(default=0.85, ge=0, le=1)
    attraction_other: float = Field(default=0.04, ge=0, le=1)
    clients: int = Field(default=20_000, ge=1)
    #: Clients that click anything, on top of the searches of people.
    bots: int = Field(default=5, ge=0)
    searches_a_bot: int = Field(default=600, ge=1)
    first_day: datetime = datetime(2025, 3, 3, tzinfo=UTC)
    days: int = Field(default=42, ge=1)
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLog:
    """Searches by time, and what of them is known for certain."""

    batches: tuple[LogBatch, ...]
    #: Of people; bots not counted.
    clicks: int
    #: Share of people's clicks on documents that are not relevant.
    wrong_share: float

    def queries(self) -> Iterator[Query]:
        """Yield every search, oldest first."""
        for batch in self.batches:
            yield from batch.queries

    def actions(self) -> Iterator[Action]:
        """Yield every action, in the order of its search."""
        for batch in self.batches:
            yield from batch.actions


@dataclass(frozen=True, slots=True, kw_only=True)
class _Searches:
    """Arrays with one row a search, sorted by time."""

    query: NDArray[np.intp]
    client: NDArray[np.intp]
    #: Seconds since the first day.
    second: NDArray[np.float64]
    bot: NDArray[np.bool_]


def simulate(
    queries: Sequence[str],
    truth: Mapping[str, AbstractSet[str]],
    rank: Callable[[Sequence[str]], Run],
    config: SimulationConfig | None = None,
) -> SimulatedLog:
    """Let users search and click as a position-based model says.

    Clicks know nothing but position and truth: the time a user stays is the same on right
    and wrong documents, so that no method can read the truth from it.

    Args:
        queries: what may be typed; how often each is typed is drawn.
        truth: relevant document_ids by query.
        rank: answers a list of distinct queries, as the search of that time does.
        config: the users.

    Raises:
        NothingToLearnError: there is no query to type.

    """
    config = config or SimulationConfig()
    if not queries:
        raise NothingToLearnError("there are no queries to simulate users with")
    random = np.random.default_rng(config.seed)
    searches = _draw_searches(len(queries), config, random)
    typed = [queries[number] for number in np.unique(searches.query)]
    answers = _cut(rank(typed), config.shown)
    relevant = _relevance(queries, truth, answers, searches, config.shown)
    clicked = _draw_clicks(relevant, searches, config, random)
    people = clicked & ~searches.bot[:, None]
    events = _Writer(
        queries=queries,
        answers=answers,
        searches=searches,
        clicked=clicked,
        pauses=random.exponential(30.0, (len(clicked), 4)) + 2.0,
        first_day=config.first_day,
    )
    starts = range(0, len(searches.query), _SEARCHES_A_BATCH)
    return SimulatedLog(
        batches=tuple(events.batch(start, start + _SEARCHES_A_BATCH) for start in starts),
        clicks=int(people.sum()),
        wrong_share=float((people & ~relevant).sum() / max(1, people.sum())),
    )


def _draw_searches(
    queries: int, config: SimulationConfig, random: np.random.Generator
) -> _Searches:
    """Draw who types what when; popular queries are popular with everyone, bots type anything."""
    share = np.arange(1.0, queries + 1) ** -config.zipf
    order = random.permutation(queries)
    by_people = order[random.choice(queries, config.searches, p=share / share.sum())]
    by_bots = random.integers(0, queries, config.bots * config.searches_a_bot)
    people = random.integers(0, config.clients, config.searches)
    bots = config.clients + np.repeat(np.arange(config.bots), config.searches_a_bot)
    second = _times(people, config, random)
    first = np.repeat(random.uniform(0, config.days - 1, config.bots), config.searches_a_bot)
    burst = first * 86_400 + random.uniform(0, 86_400, len(by_bots))
    at = np.concatenate([second, burst])
    by_time = np.argsort(at, kind="stable")
    return _Searches(
        query=np.concatenate([by_people, by_bots])[by_time],
        client=np.concatenate([people, bots])[by_time],
        second=at[by_time],
        bot=np.repeat([False, True], [len(by_people), len(by_bots)])[by_time],
    )


def _times(
    people: NDArray[np.intp], config: SimulationConfig, random: np.random.Generator
) -> NDArray[np.float64]:
    """Spread the searches of people over the days, most of them at noon."""
    day = random.integers(0, config.days, len(people))
    hour = np.clip(random.normal(13.0, 4.0, len(people)), 0.0, 23.9)
    return day * 86_400 + hour * 3_600


def _cut(run: Run, shown: int) -> dict[str, tuple[str, ...]]:
    return {query: tuple(ranked[:shown]) for query, ranked in run.items()}


def _relevance(
    queries: Sequence[str],
    truth: Mapping[str, AbstractSet[str]],
    answers: Mapping[str, Sequence[str]],
    searches: _Searches,
    shown: int,
) -> NDArray[np.bool_]:
    """Whether each position of each search holds a relevant document."""
    typed, of = np.unique(searches.query, return_inverse=True)
    table = np.zeros((len(typed), shown), dtype=np.bool_)
    for row, number in enumerate(typed):
        wanted = truth.get(queries[number], frozenset())
        for place, document_id in enumerate(answers.get(queries[number], ())):
            table[row, place] = document_id in wanted
    return np.asarray(table[of])


def _draw_clicks(
    relevant: NDArray[np.bool_],
    searches: _Searches,
    config: SimulationConfig,
    random: np.random.Generator,
) -> NDArray[np.bool_]:
    """Let people look from the top and bots click one position each, whichever."""
    examination = np.arange(1.0, config.shown + 1) ** -config.examination_power
    attraction = np.where(relevant, config.attraction_relevant, config.attraction_other)
    clicked = sample_clicks(examination, attraction, random)
    somewhere = random.integers(0, config.shown, len(clicked))
    of_bot = np.arange(config.shown) == somewhere[:, None]
    return np.where(searches.bot[:, None], of_bot, clicked)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Writer:
    """Turns drawn numbers into events."""

    queries: Sequence[str]
    answers: Mapping[str, tuple[str, ...]]
    searches: _Searches
    clicked: NDArray[np.bool_]
    #: Seconds between what a user does after a search, shape (searches, 4).
    pauses: NDArray[np.float64]
    first_day: datetime

    def batch(self, start: int, end: int) -> LogBatch:
        """Write the searches from start to end and what followed each."""
        searches = [self._search(row) for row in range(start, min(end, len(self.clicked)))]
        actions = [
            action
            for row, search in enumerate(searches, start)
            if self.clicked[row].any()
            for action in self._actions(row, search)
        ]
        return LogBatch(
            cursor=Cursor(str(start + len(searches))),
            queries=tuple(searches),
            actions=tuple(actions),
        )

    def _search(self, row: int) -> Query:
        text = self.queries[self.searches.query[row]]
        return Query(
            query_id=f"s{row}",
            text=text,
            at=self.first_day + timedelta(seconds=round(float(self.searches.second[row]), 3)),
            client=f"client-{self.searches.client[row]}",
            shown=self.answers.get(text, ()),
        )

    def _actions(self, row: int, search: Query) -> Iterator[Action]:
        """Yield clicks from the top down, then the moment the user leaves."""
        at = search.at
        document_id, position = "", None
        for number, place in enumerate(np.flatnonzero(self.clicked[row])):
            if place >= len(search.shown):
                break
            at += timedelta(seconds=round(float(self.pauses[row, number % 4]), 3))
            document_id, position = search.shown[place], int(place) + 1
            yield _action(search, "click", document_id, position, at)
        if document_id:
            at += timedelta(seconds=round(float(self.pauses[row, 3]), 3))
            yield _action(search, LEAVE, document_id, position, at)


def _action(
    search: Query, kind: str, document_id: str, position: int | None, at: datetime
) -> Action:
    return Action(
        query_id=search.query_id,
        document_id=document_id,
        kind=kind,
        at=at,
        position=position,
        client=search.client,
        text=search.text,
    )
