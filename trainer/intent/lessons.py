"""Clicked pairs and the catalogue's titles as texts with a category: what a head learns from."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from desireline.trainer.pairs import Pair
from desireline.trainer.query_text import normalise
from desireline.trainer.supported_pairs import FROM_NO_CLICKS

#: More categories than these are no categories; the rarest are left out.
MOST_CATEGORIES = 500
#: More queries teach a linear head hardly more, and each must be encoded.
MOST_QUERIES = 10_000
#: Miners that look at no click and are believed all the same: people judged.
_BELIEVED = {"rated"}
_LEAST_TRUST = 0.05

Shares = NDArray[np.float32]
"""How much of each text belongs to each category; rows add up to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentLessons:
    """Queries and titles, and the categories they belong to."""

    categories: tuple[str, ...]
    #: Normalised, sorted.
    queries: tuple[str, ...]
    #: Shape (queries, categories).
    of_queries: Shares
    #: Between 0 and 1: how much is known of each query.
    weights: NDArray[np.float32]
    #: How likely each query's categories are what was meant, above 0 and at most 1.
    trust: NDArray[np.float32]
    titles: tuple[str, ...]
    #: Shape (titles, categories).
    of_titles: Shares

    @property
    def texts(self) -> list[str]:
        """Queries, then titles."""
        return [*self.queries, *self.titles]


def intent_lessons(
    pairs: Sequence[Pair],
    categories: Mapping[str, Sequence[str]],
    titles: Mapping[str, str],
    *,
    most_titles: int,
    seed: int = 0,
) -> IntentLessons:
    """Give each query the categories of the documents that answer it, and each title its own.

    A query counts w / (1 + w) for pairs of weight w in all: a few believed clicks are worth more
    than one, and no query outweighs all others. A pair's weight is how likely it is right, so the
    mean of the weights, each counted by itself, is how far the query is trusted. A document of
    several categories counts for each in equal parts. Pairs that a miner made of documents alone
    are left out: titles say as much.

    Args:
        pairs: those that enough people stand behind; see `supported`.
        categories: by document_id; documents without one teach nothing.
        titles: by document_id.
        most_titles: drawn evenly over the categories where there are more.
        seed: of that draw.

    """
    found = _shares_of_queries(pairs, categories)
    trust = _trust_of_queries(pairs)
    named = _most_common(found, categories)
    known = {query: _within(shares, named) for query, shares in found.items()}
    weight = {query: sum(shares.values()) for query, shares in known.items()}
    queries = sorted((q for q in known if weight[q] > 0), key=lambda q: (-weight[q], q))
    queries = sorted(queries[:MOST_QUERIES])
    drawn = _drawn_titles(titles, categories, named, most_titles, seed)
    return IntentLessons(
        categories=named,
        queries=tuple(queries),
        of_queries=_matrix([known[query] for query in queries], named),
        weights=np.array([weight[q] / (1 + weight[q]) for q in queries], dtype=np.float32),
        trust=np.array([trust[query] for query in queries], dtype=np.float32),
        titles=tuple(drawn),
        of_titles=_matrix(list(drawn.values()), named),
    )


def categories_of(value: object) -> tuple[str, ...]:
    """Return what a field of a document says as categories; nothing for what is not one."""
    parts = value if isinstance(value, list | tuple) else [value]
    found = (str(part).strip() for part in parts if isinstance(part, str | int))
    return tuple(dict.fromkeys(filter(None, found)))


def _shares_of_queries(
    pairs: Sequence[Pair], categories: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for pair in pairs:
        named = categories.get(pair.positive.document_id, ())
        if not named or not _of_people(pair):
            continue
        for category in named:
            found[pair.anchor][category] += pair.weight / len(named)
    return found


def _trust_of_queries(pairs: Sequence[Pair]) -> dict[str, float]:
    weights: dict[str, list[float]] = defaultdict(list)
    for pair in pairs:
        if _of_people(pair):
            weights[pair.anchor].append(min(1.0, pair.weight))
    return {
        query: max(_LEAST_TRUST, sum(w * w for w in each) / sum(each))
        for query, each in weights.items()
    }


def _of_people(pair: Pair) -> bool:
    return not set(pair.source.split("+")) <= FROM_NO_CLICKS - _BELIEVED


def _most_common(
    found: Mapping[str, Mapping[str, float]], categories: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """Return the categories, those first that queries and then documents name most; sorted."""
    asked: dict[str, float] = defaultdict(float)
    held: dict[str, int] = defaultdict(int)
    for shares in found.values():
        for category, share in shares.items():
            asked[category] += share
    for names in categories.values():
        for category in names:
            held[category] += 1
    ordered = sorted(held, key=lambda each: (-asked.get(each, 0.0), -held[each], each))
    return tuple(sorted(ordered[:MOST_CATEGORIES]))


def _within(shares: Mapping[str, float], named: Sequence[str]) -> dict[str, float]:
    known = frozenset(named)
    return {category: share for category, share in shares.items() if category in known}


def _drawn_titles(
    titles: Mapping[str, str],
    categories: Mapping[str, Sequence[str]],
    named: Sequence[str],
    most: int,
    seed: int,
) -> dict[str, dict[str, float]]:
    """Return titles with their categories, one of each category in turn until there are enough."""
    known = frozenset(named)
    shares: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    lanes: dict[str, dict[str, None]] = defaultdict(dict)
    for document_id in sorted(titles, key=lambda each: _order(each, seed)):
        title = normalise(titles[document_id])
        own = [each for each in categories.get(document_id, ()) if each in known]
        if not title or not own:
            continue
        for category in own:
            shares[title][category] += 1 / len(own)
        lanes[own[0]][title] = None
    in_turn = _in_turn([list(lanes[name]) for name in sorted(lanes)])
    return {title: shares[title] for title in sorted(dict.fromkeys(in_turn[:most]))}


def _in_turn(lanes: Sequence[list[str]]) -> list[str]:
    longest = max(map(len, lanes), default=0)
    return [lane[place] for place in range(longest) for lane in lanes if place < len(lane)]


def _matrix(rows: Sequence[Mapping[str, float]], named: Sequence[str]) -> Shares:
    column = {category: place for place, category in enumerate(named)}
    matrix = np.zeros((len(rows), len(named)), dtype=np.float32)
    for place, shares in enumerate(rows):
        total = sum(shares.values())
        for category, share in shares.items():
            matrix[place, column[category]] = share / total
    return matrix


def _order(document_id: str, seed: int) -> bytes:
    return sha256(f"{seed}\n{document_id}".encode("utf-8", "surrogatepass")).digest()
