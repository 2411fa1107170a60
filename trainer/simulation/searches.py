"""Who types what when: searches as rows of numbers, before anybody looks at a page."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from desireline.trainer.measures.base import Qrels
from desireline.trainer.simulation.config import SimulationConfig

#: Which dice each extra draws from, beside the seed.
_TREND, _HASTE, _OTHER_WORDS = 1, 2, 3
_VOWELS = frozenset("aeiouAEIOU")


@dataclass(frozen=True, slots=True, kw_only=True)
class Searches:
    """Arrays with one row a search."""

    query: NDArray[np.intp]
    client: NDArray[np.intp]
    #: Seconds since the first day.
    second: NDArray[np.float64]
    bot: NDArray[np.bool_]
    #: What the users do: a whole number that stays with the row; see `follows`.
    name: NDArray[np.intp]
    #: Name of the search that this one is a second try of; -1 for none.
    follows: NDArray[np.intp]

    def rows(self, order: NDArray[np.intp]) -> "Searches":
        """Return these rows in this order."""
        return Searches(**{name: getattr(self, name)[order] for name in _COLUMNS})

    def __add__(self, other: "Searches") -> "Searches":
        """Append rows."""
        both = {n: np.concatenate([getattr(self, n), getattr(other, n)]) for n in _COLUMNS}
        return Searches(**both)


_COLUMNS = ("query", "client", "second", "bot", "name", "follows")


def draw_searches(queries: int, config: SimulationConfig) -> tuple[Searches, np.random.Generator]:
    """Draw who types what when; popular queries are popular with everyone, bots type anything.

    Returns the searches by time, and the dice that clicks go on with.
    """
    random = np.random.default_rng(config.seed)
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
    searches = Searches(
        query=np.concatenate([by_people, by_bots])[by_time],
        client=np.concatenate([people, bots])[by_time],
        second=at[by_time],
        bot=np.repeat([False, True], [len(by_people), len(by_bots)])[by_time],
        name=np.arange(len(at)),
        follows=np.full(len(at), -1),
    )
    return _with_trend(searches, queries, config), random


def hasty(searches: Searches, texts: Sequence[str], config: SimulationConfig) -> Searches:
    """Draw the searches of people that were typed wrong first, seconds before they got it right.

    Query n is answered by nothing; its text is that of query n - len(texts) `in_haste`.
    """
    random = np.random.default_rng([config.seed, _HASTE])
    drawn = random.random(len(searches.query)) < config.zero_results
    before = random.uniform(10.0, 30.0, len(drawn))
    rows = np.flatnonzero(drawn & ~searches.bot)
    late = searches.rows(rows)
    return replace(
        late,
        query=late.query + len(texts),
        second=np.maximum(late.second - before[rows], 0.0),
        name=late.name + len(searches.name),
    )


def in_haste(texts: Sequence[str]) -> list[str]:
    """Return texts as somebody types them who leaves the vowels out; none is a text of these."""
    known, typed = set(texts), []
    for text in texts:
        hasty_text = "".join(letter for letter in text if letter not in _VOWELS).strip() or "q"
        while hasty_text in known:
            hasty_text += hasty_text[-1]
        typed.append(hasty_text)
    return typed


def other_words(
    searches: Searches,
    clicked: NDArray[np.bool_],
    queries: Sequence[str],
    truth: Qrels,
    config: SimulationConfig,
) -> Searches:
    """Draw second tries: who clicked nothing types another query that has an answer in common."""
    random = np.random.default_rng([config.seed, _OTHER_WORDS])
    drawn = random.random(len(searches.query)) < config.reformulations
    which, after = random.random(len(drawn)), random.uniform(15.0, 90.0, len(drawn))
    rows = np.flatnonzero(drawn & ~searches.bot & ~clicked.any(axis=1))
    siblings = _siblings(queries, truth)
    known = np.array([bool(siblings.get(int(q))) for q in searches.query[rows]], dtype=np.bool_)
    rows = rows[known]
    first = searches.rows(rows)
    chosen = [siblings[int(q)] for q in first.query]
    return Searches(
        query=np.array(
            [each[int(w * len(each))] for each, w in zip(chosen, which[rows], strict=True)],
            dtype=np.intp,
        ),
        client=first.client,
        second=first.second + after[rows],
        bot=first.bot,
        name=first.name + 2 * len(searches.name),
        follows=first.name,
    )


def _siblings(queries: Sequence[str], truth: Qrels) -> Mapping[int, list[int]]:
    """Find, for each query, the others that share a right document with it."""
    by_document: dict[str, list[int]] = defaultdict(list)
    for number, query in enumerate(queries):
        for document_id, grade in truth.get(query, {}).items():
            if grade > 0:
                by_document[document_id].append(number)
    found: dict[int, set[int]] = defaultdict(set)
    for numbers in by_document.values():
        for number in numbers:
            found[number].update(numbers)
    return {number: sorted(others - {number}) for number, others in found.items()}


def _times(
    people: NDArray[np.intp], config: SimulationConfig, random: np.random.Generator
) -> NDArray[np.float64]:
    """Spread the searches of people over the days, most of them at noon."""
    day = random.integers(0, config.days, len(people))
    hour = np.clip(random.normal(13.0, 4.0, len(people)), 0.0, 23.9)
    return day * 86_400 + hour * 3_600


def _with_trend(searches: Searches, queries: int, config: SimulationConfig) -> Searches:
    """Let some queries trade places from the turn on."""
    if not config.trend:
        return searches
    random = np.random.default_rng([config.seed, _TREND])
    trading = np.flatnonzero(random.random(queries) < config.trend)
    later = np.arange(queries)
    later[trading] = random.permutation(trading)
    turned = searches.second >= config.turn_s
    return replace(searches, query=np.where(turned, later[searches.query], searches.query))
