"""What an encoder is asked: queries and their right documents, by part, and how well it answers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from mining.words import Words
from mining.worlds import World, load

from desireline.sidecar.learning.documents_alone import ask_for, held_documents
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.encoders.base import Encoder
from desireline.trainer.evaluation import evaluate, rank_exact
from desireline.trainer.general.suite import builtin_suite, foreign
from desireline.trainer.measures.base import Qrels
from desireline.trainer.measures.ndcg import Ndcg
from desireline.trainer.measures.recall import Recall
from desireline.trainer.measures.reciprocal_rank import ReciprocalRank

MEASURES = (ReciprocalRank(20), Ndcg(10), Recall(20))
_DEPTH = 20
#: Share of the documents that a first night keeps out, as `tune.held_out` does.
HELD_OUT = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Queries with a truth over documents of their own."""

    documents: Mapping[str, DocumentText | str]
    qrels: Qrels


def of_first_night(world: World, split: str, seed: int) -> dict[str, Part]:
    """Real queries, what the gate would ask on that night, and the general suite."""
    held = held_documents(world.documents, HELD_OUT, seed)
    asked = ask_for({name: world.documents[name] for name in sorted(held)}, seed)
    return {
        "own": Part(documents=world.documents, qrels=_qrels(getattr(world, split))),
        "titles": Part(documents=world.documents, qrels=asked.qrels),
        **_suite(world),
    }


def of_forgetting(world: World, split: str, data: Any) -> dict[str, Part]:
    """Own queries, and those of two worlds that nothing here learns from or chooses by."""
    return {
        "own": Part(documents=world.documents, qrels=_qrels(getattr(world, split))),
        "tldr": _some_of(load("tldr", data), split, queries=300, documents=1_000),
        "banking77": _some_of(load("banking77", data), split, queries=500, documents=77),
    }


def answered(encoder: Any, parts: Mapping[str, Part]) -> dict[str, Any]:
    """Return each measure of each query by part, queries in sorted order; BM25 without encoder."""
    found: dict[str, Any] = {}
    once = None if encoder is None else _EachTextOnce(encoder)
    for name, part in parts.items():
        queries = sorted(part.qrels)
        if once is None:
            run = Words(_with_titles(part.documents)).rank(queries, _DEPTH)
        else:
            texts = {key: getattr(text, "text", text) for key, text in part.documents.items()}
            run = rank_exact(once, queries, texts, k=_DEPTH)
        values = evaluate(run, part.qrels, MEASURES).values
        found[name] = {
            str(measure): [round(float(each), 4) for each in values[measure]]
            for measure in MEASURES
        }
    return found


class _EachTextOnce:
    """An encoder that keeps the vectors of documents: two parts may be of the same ones."""

    def __init__(self, encoder: Encoder) -> None:
        self.encode_queries = encoder.encode_queries
        self._encode = encoder.encode_documents
        self._known: dict[str, Any] = {}

    def encode_documents(self, texts: Sequence[str]) -> Any:
        """Return the vectors of documents."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known |= dict(zip(missing, self._encode(missing), strict=True))
        return np.stack([self._known[text] for text in texts])


def _qrels(truth: Mapping[str, Iterable[str]]) -> Qrels:
    return {query: dict.fromkeys(names, 1.0) for query, names in truth.items()}


def _suite(world: World) -> dict[str, Part]:
    parts = foreign(builtin_suite(), [text.text for text in world.documents.values()])
    return {
        f"suite {part.name}": Part(documents=part.documents, qrels=part.qrels) for part in parts
    }


def _some_of(world: World, split: str, *, queries: int, documents: int) -> Part:
    """Draw queries by a hash, keep all that is right for them, and draw other documents."""
    truth = getattr(world, split)
    asked = sorted(truth, key=_drawn)[:queries]
    right = {name for query in asked for name in truth[query]}
    others = [name for name in sorted(world.documents, key=_drawn) if name not in right]
    kept = {*right, *others[: max(0, documents - len(right))]}
    return Part(
        documents={name: world.documents[name] for name in sorted(kept)},
        qrels=_qrels({query: truth[query] for query in asked}),
    )


def _with_titles(documents: Mapping[str, Any]) -> dict[str, DocumentText]:
    return {
        name: text if isinstance(text, DocumentText) else DocumentText(("", text), separator="")
        for name, text in documents.items()
    }


def _drawn(name: str) -> str:
    return sha256(name.encode()).hexdigest()
