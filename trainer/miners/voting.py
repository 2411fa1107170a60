"""What several miners found becomes one set of pairs, each believed as its sources deserve."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from desireline.trainer.judgments import Judgments
from desireline.trainer.label_model import LabelModelConfig, SourceQuality, combine
from desireline.trainer.pairs import Pair, PairSet, merge

Key = tuple[str, str]
"""A query and a document_id."""

_CONFIG = LabelModelConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A pair as one miner found it."""

    pair: Pair
    #: Whether the positive is a judgment's, so that it says nothing beyond the grade.
    judged: bool

    @property
    def key(self) -> Key:
        """What the pair is about."""
        return self.pair.anchor, self.pair.positive.document_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """Pairs, and what is known of where they came from."""

    pairs: PairSet
    #: How far each miner that does not repeat judgments was believed.
    sources: Mapping[str, SourceQuality]
    #: Pairs that each miner found, before they were joined.
    counts: Mapping[str, int]


def weigh(
    found: Iterable[Found], judgments: Judgments | None, related: Mapping[str, frozenset[str]]
) -> Mined:
    """Weigh every pair by how likely it is right, and join what is about the same.

    The grades of judgments are what is known before. A miner that does not repeat them votes for
    the documents it finds. Among the judged documents of the queries it has found anything for,
    the label model learns how much oftener it votes for right ones; documents without a judgment
    are believed as often as its judged finds were right. A pair's weight changes by as much as
    the belief in it does, so that judged pairs alone keep the weights their miners gave.

    Args:
        found: by all miners, in order.
        judgments: None where there is no log.
        related: documents by query that are never a negative; what is voted for joins them.

    """
    all_found = tuple(found)
    votes = _votes(all_found)
    prior = _prior(judgments, {query for query, _ in votes})
    names = sorted({name for names in votes.values() for name in names})
    beliefs, sources = _beliefs(votes, prior, names)
    pairs = (_weighed(each, beliefs, prior) for each in all_found)
    return Mined(
        pairs=merge(pairs, _joined(related, votes)),
        sources=sources,
        counts=dict(Counter(each.pair.source for each in all_found)),
    )


def _votes(found: Sequence[Found]) -> dict[Key, set[str]]:
    votes: dict[Key, set[str]] = defaultdict(set)
    for each in found:
        if not each.judged:
            votes[each.key].add(each.pair.source)
    return votes


def _prior(judgments: Judgments | None, queries: set[str]) -> dict[Key, float]:
    """Give the grades of these queries' judged documents."""
    if judgments is None or not queries:
        return {}
    asked = pl.Series(sorted(queries), dtype=pl.String)
    kept = judgments.frame.filter(pl.col("query").is_in(asked.implode()))
    rows = kept.select("query", "document_id", "grade").iter_rows()
    return {(query, document_id): grade for query, document_id, grade in rows}


def _beliefs(
    votes: Mapping[Key, set[str]], prior: Mapping[Key, float], names: Sequence[str]
) -> tuple[dict[Key, float], dict[str, SourceQuality]]:
    """P(right) of everything that was voted for, and what was learned of the sources."""
    keys = list(prior)
    table = np.zeros((len(keys), len(names)), dtype=np.int8)
    column = {name: number for number, name in enumerate(names)}
    for row, key in enumerate(keys):
        for name in votes.get(key, ()):
            table[row, column[name]] = 1
    grades = np.array([prior[key] for key in keys], dtype=np.float64)
    labels = combine(table, names, grades, config=_CONFIG)
    beliefs = {
        key: float(right) for key, right in zip(keys, labels.right, strict=True) if key in votes
    }
    for key, voters in votes.items():
        if key not in beliefs:
            beliefs[key] = _together([labels.sources[name].accuracy for name in sorted(voters)])
    return beliefs, dict(labels.sources)


def _together(accuracies: Sequence[float]) -> float:
    """Believe agreeing sources more than the best of them, as if each erred by itself."""
    wrong = float(np.prod([1 - accuracy for accuracy in accuracies]))
    return 1 - wrong


def _weighed(each: Found, beliefs: Mapping[Key, float], prior: Mapping[Key, float]) -> Pair:
    if each.key not in beliefs:
        return each.pair
    before = prior.get(each.key, _CONFIG.usual_accuracy) if each.judged else _CONFIG.usual_accuracy
    factor = beliefs[each.key] / max(before, 1e-6)
    return replace(each.pair, weight=each.pair.weight * factor)


def _joined(
    related: Mapping[str, frozenset[str]], votes: Mapping[Key, set[str]]
) -> dict[str, frozenset[str]]:
    """Add what is voted for to what is never a negative."""
    voted: dict[str, set[str]] = defaultdict(set)
    for query, document_id in votes:
        voted[query].add(document_id)
    joined = dict(related)
    for query, document_ids in voted.items():
        joined[query] = joined.get(query, frozenset()) | document_ids
    return joined
