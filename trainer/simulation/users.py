"""Users sampled from a known click model, so that labels and gates can be tried on a truth."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from desireline.connectors.events import Action, Query
from desireline.connectors.log_source import LogBatch
from desireline.trainer.errors import NothingToLearnError
from desireline.trainer.measures.base import Qrels, Run
from desireline.trainer.simulation.clicks import draw_clicks
from desireline.trainer.simulation.config import SimulationConfig
from desireline.trainer.simulation.events import LEAVE, EventWriter
from desireline.trainer.simulation.searches import (
    Searches,
    draw_searches,
    hasty,
    in_haste,
    other_words,
)

__all__ = ["LEAVE", "SimulatedLog", "SimulatedTruth", "SimulationConfig", "simulate"]

_SEARCHES_A_BATCH = 5_000
_DRIFT, _SECOND_TRIES = 6, 7

Truth = Mapping[str, AbstractSet[str]] | Qrels


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedTruth:
    """What is known for certain of a simulated log."""

    #: Grades between 0 and 1 of what is relevant, by the query's text.
    relevance: Qrels
    #: Clients that are no people.
    bots: tuple[str, ...]
    #: From when on the answers of `drifted` hold instead; None where nothing changes.
    turn: datetime | None = None
    drifted: Qrels = field(default_factory=dict)
    #: Searches that found nothing, and those with other words: (query_id, query_id that followed).
    zero_results: tuple[tuple[str, str], ...] = ()
    reformulations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLog:
    """Searches by time, and what of them is known for certain."""

    batches: tuple[LogBatch, ...]
    #: Of people; bots not counted.
    clicks: int
    #: Share of people's clicks on documents that are not relevant; a click on a document of
    #: grade 0.3 is 0.7 of a wrong one.
    wrong_share: float
    truth: SimulatedTruth

    def queries(self) -> Iterator[Query]:
        """Yield every search, oldest first."""
        for batch in self.batches:
            yield from batch.queries

    def actions(self) -> Iterator[Action]:
        """Yield every action, in the order of its search."""
        for batch in self.batches:
            yield from batch.actions


def simulate(
    queries: Sequence[str],
    truth: Truth,
    rank: Callable[[Sequence[str]], Run],
    config: SimulationConfig | None = None,
) -> SimulatedLog:
    """Let users search and click as the click model of the configuration says.

    Clicks know nothing but position and truth. Unless `dwell_ratio` says otherwise, the time a
    user stays is the same on right and wrong documents, so that no method can read the truth
    from it.

    Args:
        queries: what may be typed; how often each is typed is drawn.
        truth: relevant document_ids by query, all alike or with grades above 0; the greatest
            grade counts as 1.
        rank: answers a list of distinct queries, as the search of that time does.
        config: the users.

    Raises:
        NothingToLearnError: there is no query to type.

    """
    config = config or SimulationConfig()
    if not queries:
        raise NothingToLearnError("there are no queries to simulate users with")
    searches, random = draw_searches(len(queries), config)
    answers = _answers(queries, searches, rank, config)
    relevance = _graded(truth)
    pages = _Pages.of(queries, relevance, answers, config)
    drawn = _people_and_bots(pages, searches, config, random)
    pauses = random.exponential(30.0, (len(searches.query), 4)) + 2.0
    drawn, pauses = _with_second_tries(pages, drawn, pauses, config)
    return _log(pages, drawn, pauses, config)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    searches: Searches
    grades: NDArray[np.float64]
    clicked: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pages:
    """What each query shows, and how good it is before and after the turn."""

    queries: Sequence[str]
    answers: Mapping[str, tuple[str, ...]]
    relevance: Qrels
    drifted: Qrels
    #: Shape (queries, positions), NaN where nothing is shown; last a row that shows nothing.
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    turn_s: float

    @classmethod
    def of(
        cls,
        queries: Sequence[str],
        relevance: Qrels,
        answers: Mapping[str, tuple[str, ...]],
        config: SimulationConfig,
    ) -> "_Pages":
        random = np.random.default_rng([config.seed, _DRIFT])
        drifting = (random.random(len(queries)) < config.drift).tolist()
        drifted = {
            query: _turned(relevance, query, answers)
            for query, drifts in zip(queries, drifting, strict=True)
            if drifts
        }
        before = _grade_table(queries, relevance, answers, config.shown)
        later = _grade_table(queries, {**relevance, **drifted}, answers, config.shown)
        return cls(
            queries=queries,
            answers=answers,
            relevance=relevance,
            drifted=drifted,
            before=before,
            after=later if drifted else before,
            turn_s=config.turn_s,
        )

    def grades(self, searches: Searches) -> NDArray[np.float64]:
        """Return the grade of each position of each search, as it was at its time."""
        row = np.minimum(searches.query, len(self.queries))
        turned = (searches.second >= self.turn_s)[:, None]
        return np.where(turned, self.after[row], self.before[row])


def _answers(
    queries: Sequence[str],
    searches: Searches,
    rank: Callable[[Sequence[str]], Run],
    config: SimulationConfig,
) -> dict[str, tuple[str, ...]]:
    """Ask for the page of every query that can be typed."""
    every = range(len(queries)) if config.reformulations else np.unique(searches.query).tolist()
    run = rank([queries[number] for number in every])
    return {query: tuple(ranked[: config.shown]) for query, ranked in run.items()}


def _graded(truth: Truth) -> Qrels:
    """Return grades between 0 and 1."""
    greatest = max(
        (
            max(given.values(), default=0.0)
            for given in truth.values()
            if isinstance(given, Mapping)
        ),
        default=1.0,
    )
    return {
        query: {key: grade / greatest for key, grade in given.items() if grade > 0}
        if isinstance(given, Mapping)
        else dict.fromkeys(sorted(given), 1.0)
        for query, given in truth.items()
    }


def _turned(
    relevance: Qrels, query: str, answers: Mapping[str, tuple[str, ...]]
) -> dict[str, float]:
    """Say what is right after the turn: the page's grades from the bottom up."""
    shown, before = answers.get(query, ()), relevance.get(query, {})
    turned = {
        document_id: before.get(other, 0.0)
        for document_id, other in zip(shown, reversed(shown), strict=True)
    }
    return {key: grade for key, grade in {**before, **turned}.items() if grade > 0}


def _grade_table(
    queries: Sequence[str],
    relevance: Qrels,
    answers: Mapping[str, tuple[str, ...]],
    shown: int,
) -> NDArray[np.float64]:
    table = np.full((len(queries) + 1, shown), np.nan)
    for row, query in enumerate(queries):
        wanted = relevance.get(query, {})
        page = answers.get(query, ())
        table[row, : len(page)] = [wanted.get(document_id, 0.0) for document_id in page]
    return table


def _people_and_bots(
    pages: _Pages, searches: Searches, config: SimulationConfig, random: np.random.Generator
) -> _Drawn:
    """Let people look and click, and bots click one position each, whichever."""
    grades = pages.grades(searches)
    clicked = draw_clicks(grades, config, random)
    somewhere = random.integers(0, config.shown, len(clicked))
    of_bot = (np.arange(config.shown) == somewhere[:, None]) & ~np.isnan(grades)
    clicked = np.where(searches.bot[:, None], of_bot, clicked)
    return _Drawn(searches=searches, grades=grades, clicked=clicked)


def _with_second_tries(
    pages: _Pages, drawn: _Drawn, pauses: NDArray[np.float64], config: SimulationConfig
) -> tuple[_Drawn, NDArray[np.float64]]:
    """Put in the searches typed in haste and those with other words, by time."""
    if not config.zero_results and not config.reformulations:
        return drawn, pauses
    random = np.random.default_rng([config.seed, _SECOND_TRIES])
    first = drawn.searches
    extra = hasty(first, pages.queries, config) + other_words(
        first, drawn.clicked, pages.queries, pages.relevance, config
    )
    grades = pages.grades(extra)
    clicked = draw_clicks(grades, config, random)
    order = np.argsort(np.concatenate([first.second, extra.second]), kind="stable")
    both = _Drawn(
        searches=(first + extra).rows(order),
        grades=np.concatenate([drawn.grades, grades])[order],
        clicked=np.concatenate([drawn.clicked, clicked])[order],
    )
    more = random.exponential(30.0, (len(clicked), 4)) + 2.0
    return both, np.concatenate([pauses, more])[order]


def _log(
    pages: _Pages, drawn: _Drawn, pauses: NDArray[np.float64], config: SimulationConfig
) -> SimulatedLog:
    people = drawn.clicked & ~drawn.searches.bot[:, None]
    hasty_texts = in_haste(pages.queries) if config.zero_results else []
    events = EventWriter(
        texts=[*pages.queries, *hasty_texts],
        answers=pages.answers,
        searches=drawn.searches,
        clicked=drawn.clicked,
        grades=drawn.grades,
        pauses=pauses,
        config=config,
    )
    return SimulatedLog(
        batches=tuple(events.batches(_SEARCHES_A_BATCH)),
        clicks=int(people.sum()),
        wrong_share=float((1 - drawn.grades[people]).sum() / max(1, people.sum())),
        truth=_truth(pages, drawn.searches, config),
    )


def _truth(pages: _Pages, searches: Searches, config: SimulationConfig) -> SimulatedTruth:
    row = {name: number for number, name in enumerate(searches.name.tolist())}
    followed = [
        (f"s{row[first]}", f"s{number}")
        for number, first in enumerate(searches.follows.tolist())
        if first >= 0
    ]
    drawn = config.searches + config.bots * config.searches_a_bot
    found_nothing = np.flatnonzero(searches.query >= len(pages.queries)).tolist()
    return SimulatedTruth(
        relevance=pages.relevance,
        bots=tuple(f"client-{config.clients + bot}" for bot in range(config.bots)),
        turn=config.first_day + timedelta(seconds=config.turn_s) if pages.drifted else None,
        drifted=pages.drifted,
        zero_results=tuple(
            (f"s{number}", f"s{row[int(searches.name[number]) - drawn]}")
            for number in found_nothing
        ),
        reformulations=tuple(followed),
    )
