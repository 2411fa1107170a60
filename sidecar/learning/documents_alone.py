"""Learning without a click: documents teach, and documents held out judge.

What a title says finds its document, cut up as people cut words: documents that nobody trained on
are looked for by pieces of their titles. That is a modest truth. It knows no user's words, and
tells that an encoder came to know the collection, no more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

import polars as pl

from desireline.sidecar.judging.evidence import HeldOutTruth
from desireline.sidecar.judging.examination import document_texts
from desireline.sidecar.learning.mining import make_miner
from desireline.sidecar.reports.cycle_report import Diary
from desireline.sidecar.target import Target
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.judgments import Judgments
from desireline.trainer.miners.base import Material, find
from desireline.trainer.miners.pseudo_queries import PseudoQueries, PseudoQueriesConfig
from desireline.trainer.miners.voting import weigh
from desireline.trainer.pairs import PairSet
from desireline.trainer.query_vectors import QueryVectors
from desireline.trainer.sessions import Sessions, to_sessions

#: Miners that look at documents and at nothing else.
ALONE = ("self_supervised", "pseudo_queries", "crops", "categories")
_USUAL = ("self_supervised", "pseudo_queries")
#: More queries make the evaluation slower and the interval hardly narrower.
_MOST_QUERIES = 1_000
_NO_JUDGMENTS = Judgments(frame=pl.DataFrame(), examination={}, perplexity=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Teaching:
    """What a candidate learns from, and what it is judged by."""

    pairs: PairSet
    truth: HeldOutTruth
    #: What people did, as far as it is in the pairs.
    sessions: Sessions
    #: Rendered documents that may be read before the pairs; None for all of the target's.
    texts: tuple[str, ...] | None = None
    #: What the incumbent made of the anchors, as far as it was asked.
    queries: QueryVectors | None = None


def learn_from_documents(target: Target, incumbent: str, diary: Diary) -> Teaching:
    """Hold some documents out, let the others teach, and ask for those held out."""
    tune = target.config.tune
    documents = document_texts(target, incumbent)
    held = held_documents(documents, tune.held_out, tune.seed)
    teaching = {key: text for key, text in documents.items() if key not in held}
    names = [name for name in tune.miners if name in ALONE] or list(_USUAL)
    miners = [make_miner(name, tune.miner_settings.get(name, {})) for name in names]
    material = _material(teaching)
    found = (finding for miner in miners for finding in find(material, miner))
    pairs = weigh(found, None, {}).pairs
    truth = ask_for({key: documents[key] for key in held}, tune.seed)
    diary.step(
        "documents",
        f"{len(pairs.pairs):,} pairs from {len(teaching):,} documents alone"
        f" ({', '.join(names)}); {len(truth.queries):,} pieces of titles ask for"
        f" {len(held):,} documents held out",
        pairs=len(pairs.pairs),
    )
    return Teaching(
        pairs=pairs,
        truth=truth,
        sessions=material.sessions,
        texts=tuple(document.text for document in teaching.values()),
    )


def held_documents(documents: Iterable[str], share: float, seed: int) -> frozenset[str]:
    """Draw the documents that judge and never teach, each by itself."""
    return frozenset(each for each in documents if _drawn(each, seed) < share)


def ask_for(held: Mapping[str, DocumentText], seed: int) -> HeldOutTruth:
    """Cut the titles of a bounded draw of the documents; a piece may ask for several."""
    drawn = sorted(held, key=lambda each: _drawn(f"asked {each}", seed))[:_MOST_QUERIES]
    miner = PseudoQueries(PseudoQueriesConfig(a_document=1, seed=seed))
    qrels: dict[str, dict[str, float]] = {}
    for pair in miner.mine(_material({key: held[key] for key in drawn})):
        qrels.setdefault(pair.anchor, {})[pair.positive.document_id] = 1.0
    return HeldOutTruth(qrels=qrels, segments=dict.fromkeys(qrels, "titles"), presentable=qrels)


def _material(documents: Mapping[str, DocumentText]) -> Material:
    return Material(sessions=to_sessions(()), judgments=_NO_JUDGMENTS, documents=documents)


def _drawn(document_id: str, seed: int) -> float:
    """Draw a number in 0..1 that is the same for a document whatever others there are."""
    salted = f"{seed}\n{document_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(sha256(salted).digest()[:8]) / 2**64
