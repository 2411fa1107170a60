"""A world with its search and its users, and what miners may look at in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from mining.retries import with_retries
from mining.static_encoder import StaticEncoder
from mining.words import Words
from mining.worlds import World

from desireline.connectors.search_engine import Hit
from desireline.trainer.clickmodels.latent_relevance import LatentRelevance
from desireline.trainer.documents.pair_features import describe_pairs
from desireline.trainer.evaluation import rank_exact
from desireline.trainer.judgments import judge
from desireline.trainer.measures.base import Run
from desireline.trainer.measures.reciprocal_rank import ReciprocalRank
from desireline.trainer.miners.base import Material, Search
from desireline.trainer.miners.likeness import Likeness
from desireline.trainer.pairs import Pair, PairSet, Passage, merge
from desireline.trainer.sessions import Sessions, to_sessions
from desireline.trainer.simulation.users import SimulationConfig, simulate

SHOWN = 20
DEPTH = 30
MEASURE = ReciprocalRank(20)
Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass
class Town:
    """One world with its base, its search, and the truth of its held-out queries."""

    world: World
    base: StaticEncoder

    @cached_property
    def texts(self) -> dict[str, str]:
        return {name: document.text for name, document in self.world.documents.items()}

    @cached_property
    def words(self) -> Words:
        return Words(self.world.documents)

    @cached_property
    def shown(self) -> Run:
        """What the base finds for every query that may be typed."""
        return rank_exact(self.base, list(self.world.train), self.texts, k=DEPTH)

    def values(self, run: Run) -> Values:
        """Reciprocal rank of each held-out query."""
        truth = self.world.test
        return np.array(
            [MEASURE.value(run[query], dict.fromkeys(truth[query], 1.0)) for query in sorted(truth)]
        )

    def of_encoder(self, encoder: StaticEncoder) -> Values:
        return self.values(rank_exact(encoder, sorted(self.world.test), self.texts, k=20))


@dataclass
class Log:
    """Users of one seed, and what the miners may look at."""

    town: Town
    seed: int
    retrying: bool = False

    @cached_property
    def sessions(self) -> Sessions:
        world, shown = self.town.world, self.town.shown
        log = simulate(
            list(world.train),
            world.train,
            lambda queries: {query: shown[query] for query in queries},
            SimulationConfig(
                searches=len(world.train), zipf=0.5, shown=SHOWN, bots=0, seed=self.seed
            ),
        )
        if self.retrying:
            return to_sessions(with_retries(log, world.train, shown, seed=self.seed))
        return to_sessions(log.batches)

    @cached_property
    def material(self) -> Material:
        documents = self.town.world.documents
        features = describe_pairs(self.sessions.frame, documents, self.town.base)
        return Material(
            sessions=self.sessions,
            judgments=judge(self.sessions, LatentRelevance(), features),
            documents=documents,
            search=_search(lambda query, k: self.town.shown[query][:k]),
            lexical=_search(lambda query, k: self.town.words.rank([query], k)[query]),
            likeness=Likeness(self.town.base, documents),
        )

    @property
    def wrong_share(self) -> float:
        clicked = self.sessions.frame.filter("clicked").select("query", "document_id")
        right = [name in self.town.world.train[query] for query, name in clicked.iter_rows()]
        return 1 - float(np.mean(right))

    def raw(self) -> PairSet:
        """Every clicked pair, as it is."""
        clicked = self.sessions.frame.filter("clicked").select("query", "document_id").unique()
        return self._pairs(sorted(clicked.iter_rows()))

    def true(self) -> PairSet:
        """All right documents of the queries that have a click."""
        clicked = sorted(set(self.sessions.frame.filter("clicked").get_column("query")))
        truth = self.town.world.train
        return self._pairs([(query, name) for query in clicked for name in sorted(truth[query])])

    def _pairs(self, keys: Sequence[tuple[str, str]]) -> PairSet:
        texts = self.town.texts
        related: dict[str, set[str]] = {}
        for query, name in keys:
            related.setdefault(query, set()).add(name)
        return merge(
            [
                Pair(anchor=query, positive=Passage(name, texts[name]), source="given")
                for query, name in keys
            ],
            {query: frozenset(names) for query, names in related.items()},
        )


def _search(answer: Callable[[str, int], Sequence[str]]) -> Search:
    def search(query: str, k: int) -> list[Hit]:
        return [Hit(document_id=name, score=1.0, fields={}) for name in answer(query, k)]

    return search
