"""Pairs that documents give by themselves: tasks made for a catalogue, no log needed.

After JD's pre-training for product search (Cui et al. 2022, arXiv 2208.06150): a title finds its
document under the words that a user would be left with, and a category its members.
"""

from collections.abc import Iterator

import polars as pl

from desireline.trainer.documents.catalogue import Catalogue
from desireline.trainer.jobs import SmallConfig
from desireline.trainer.judgments import Judgments
from desireline.trainer.miners.base import Material, Miner
from desireline.trainer.miners.categories import Categories, CategoriesConfig
from desireline.trainer.miners.crops import Crops, CropsConfig
from desireline.trainer.miners.pseudo_queries import PseudoQueries, PseudoQueriesConfig
from desireline.trainer.miners.self_supervised import SelfSupervised, SelfSupervisedConfig
from desireline.trainer.pairs import Pair, PairSet, merge
from desireline.trainer.sessions import to_sessions

_NO_JUDGMENTS = Judgments(frame=pl.DataFrame(), examination={}, perplexity=1.0)


def pairs_of_documents(
    catalogue: Catalogue, config: SmallConfig, pairs: PairSet, *, seed: int
) -> PairSet:
    """Return what the tasks find; what may be right for a query by its pairs stays so."""
    material = Material(
        sessions=to_sessions(()), judgments=_NO_JUDGMENTS, documents=catalogue.documents
    )
    found = [pair for miner in _miners(config, seed) for pair in miner.mine(material)]
    related: dict[str, set[str]] = {}
    for pair in found:
        related.setdefault(pair.anchor, set()).add(pair.positive.document_id)
    known = {
        anchor: frozenset(names) | pairs.related.get(anchor, frozenset())
        for anchor, names in related.items()
    }
    return merge(found, known)


def joined(tasks: PairSet, pairs: PairSet) -> PairSet:
    """Return the pairs of the tasks and those of users together."""
    related = {
        anchor: tasks.related.get(anchor, frozenset()) | pairs.related.get(anchor, frozenset())
        for anchor in {**tasks.related, **pairs.related}
    }
    return merge(_all(tasks, pairs), related)


def _all(*sets: PairSet) -> Iterator[Pair]:
    for each in sets:
        yield from each.pairs


def _miners(config: SmallConfig, seed: int) -> list[Miner]:
    miners: list[Miner] = []
    if "titles" in config.tasks:
        queries = PseudoQueriesConfig(a_document=config.queries_a_document, weight=1.0, seed=seed)
        miners.append(PseudoQueries(queries))
        miners.append(SelfSupervised(SelfSupervisedConfig(weight=1.0)))
        miners.append(Crops(CropsConfig(weight=1.0, seed=seed)))
    if "categories" in config.tasks:
        miners.append(Categories(CategoriesConfig(weight=0.2)))
    return miners
