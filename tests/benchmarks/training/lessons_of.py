"""What a way of training learns from: true pairs, or what simulated clicks are mined to."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np
from mining.words import Words
from mining.worlds import World

from desireline.connectors.search_engine import Hit
from desireline.trainer.clickmodels.latent_relevance import LatentRelevance
from desireline.trainer.documents.pair_features import describe_pairs
from desireline.trainer.encoders.base import Encoder
from desireline.trainer.evaluation import rank_exact
from desireline.trainer.judgments import judge
from desireline.trainer.measures.base import Run
from desireline.trainer.miners.base import Material, Miner, Search, mine
from desireline.trainer.miners.clicked import Clicked
from desireline.trainer.miners.engine_negatives import EngineNegatives
from desireline.trainer.miners.likeness import Likeness
from desireline.trainer.miners.self_supervised import SelfSupervised
from desireline.trainer.miners.skipped_above import SkippedAbove
from desireline.trainer.pairs import Pair, PairSet, Passage, merge
from desireline.trainer.sessions import to_sessions
from desireline.trainer.simulation.users import SimulationConfig, simulate

Kind = Literal["true", "clicks"]
_SHOWN, _DEPTH = 20, 30
#: What docs/miners.md recommends for a target with clicks.
_MINERS: tuple[Callable[[], Miner], ...] = (Clicked, SkippedAbove, EngineNegatives, SelfSupervised)


def true_pairs(world: World) -> PairSet:
    """All right documents of the training queries."""
    pairs = [
        Pair(anchor=query, positive=Passage(name, world.documents[name].text), source="given")
        for query, names in world.train.items()
        for name in sorted(names)
    ]
    return merge(pairs, world.train)


def drawn(pairs: PairSet, most: int, *, seed: int) -> PairSet:
    """Draw that many of the pairs, in their order; what may be right is kept whole."""
    if len(pairs.pairs) <= most:
        return pairs
    rows = np.sort(np.random.default_rng(seed).permutation(len(pairs.pairs))[:most])
    return PairSet(pairs=tuple(pairs.pairs[row] for row in rows), related=pairs.related)


def pairs_of_clicks(world: World, base: Encoder, *, seed: int) -> PairSet:
    """What the miners find in SIMULATED clicks on the base encoder's answers.

    As many searches as there are training queries, most of them typed once; a document is looked
    at with probability 1/position^0.6 and clicked with .85 if right and .04 if not.
    """
    texts = {name: document.text for name, document in world.documents.items()}
    shown = rank_exact(base, list(world.train), texts, k=_DEPTH)
    log = simulate(
        list(world.train),
        world.train,
        lambda queries: {query: shown[query] for query in queries},
        SimulationConfig(searches=len(world.train), zipf=0.5, shown=_SHOWN, bots=0, seed=seed),
    )
    sessions = to_sessions(log.batches)
    features = describe_pairs(sessions.frame, world.documents, base)
    material = Material(
        sessions=sessions,
        judgments=judge(sessions, LatentRelevance(), features),
        documents=world.documents,
        search=_search(lambda query, k: shown[query][:k]),
        lexical=_search(partial(_by_words, Words(world.documents))),
        likeness=Likeness(base, world.documents),
    )
    return mine(material, [make() for make in _MINERS]).pairs


def _by_words(words: Words, query: str, k: int) -> Sequence[str]:
    return words.rank([query], k)[query]


def _search(answer: Callable[[str, int], Sequence[str]]) -> Search:
    def search(query: str, k: int) -> list[Hit]:
        return [Hit(document_id=name, score=1.0, fields={}) for name in answer(query, k)]

    return search


def fused(runs: Sequence[Run], *, k: int) -> Run:
    """Fuse runs by reciprocal rank (Cormack et al. 2009), with their constant of 60."""
    fusion: dict[str, tuple[str, ...]] = {}
    for query in runs[0]:
        points: dict[str, float] = {}
        for run in runs:
            for position, name in enumerate(run[query], 1):
                points[name] = points.get(name, 0.0) + 1 / (60 + position)
        fusion[query] = tuple(sorted(points, key=lambda name: (-points[name], name))[:k])
    return fusion
