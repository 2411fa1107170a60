"""Query sides over the documents of a table of word vectors, trained by the product's own loop.

`adapter` learns a map of query vectors, `query` the words' vectors as queries have them; the
documents keep theirs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
import torch
from gating.saboteurs import Material
from mining.static_encoder import StaticEncoder

from desireline.connectors.documents import Vectors
from desireline.connectors.search_engine import Similarity
from desireline.trainer.documents.vectors import DocumentVectors
from desireline.trainer.jobs import FitConfig
from desireline.trainer.lessons import Indices
from desireline.trainer.modes.adapter import QueryMap
from desireline.trainer.modes.cached_documents import CachedDocuments, Tower, learn
from desireline.trainer.modes.cached_lessons import CachedLessons
from desireline.trainer.pairs import PairSet

MODES = ("adapter", "query")
_ADAPTER = FitConfig(mode="adapter", learning_rate=3e-3)
_QUERY = FitConfig(mode="query", learning_rate=1e-2)
_EPOCHS = 4.0


class QuerySide:
    """An `Encoder` whose documents are another's."""

    similarity: Similarity = "cosine"

    def __init__(self, documents: StaticEncoder, queries: Callable[[Sequence[str]], Vectors]):
        self.of_documents = documents
        self.dimension = documents.dimension
        self._queries = queries

    @property
    def documents(self) -> str:
        """Fingerprint of the encoder whose vectors are searched."""
        return self.of_documents.fingerprint

    @cached_property
    def fingerprint(self) -> str:
        """Digest of what it makes of some queries."""
        return sha256(self._queries(_PROBES).tobytes()).hexdigest()

    @property
    def space(self) -> str:
        """That of the documents."""
        return self.documents

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode what users typed; shape (len(texts), dimension)."""
        return self._queries(texts)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode rendered documents as they are."""
        return self.of_documents.encode_documents(texts)


_PROBES = ("nurse", "software engineer", "drives a lorry", "teaches children", "cook")


class _Words(Tower):
    """The words' vectors as queries have them."""

    def __init__(self, base: StaticEncoder, anchors: Sequence[str]) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(torch.from_numpy(base.table.copy()))
        self._tokens = base.tokens(anchors)

    def forward(self, anchors: Indices) -> torch.Tensor:
        tokens = [self._tokens[row] for row in anchors.tolist()]
        flat = torch.tensor([token for some in tokens for token in some], dtype=torch.long)
        starts = np.cumsum([0, *(len(some) for some in tokens[:-1])])
        found: torch.Tensor = torch.nn.functional.embedding_bag(
            flat, self.table, torch.from_numpy(starts), mode="mean"
        )
        return found


def tuned(material: Material, pairs: PairSet, mode: str, *, seed: int) -> QuerySide:
    """Train a query side over the base encoder's documents."""
    base = material.town.base
    torch.manual_seed(seed)
    names = tuple(name for name, text in material.town.texts.items() if text)
    vectors = base.encode_documents([material.town.texts[name] for name in names])
    documents = DocumentVectors(document_ids=names, vectors=vectors)
    cached = CachedDocuments(
        lessons=CachedLessons.of(pairs, documents), vectors=torch.from_numpy(vectors)
    )
    config = (_ADAPTER if mode == "adapter" else _QUERY).model_copy(update={"seed": seed})
    anchors = cached.lessons.anchors
    if mode == "adapter":
        mapped = QueryMap(base.encode_queries(anchors), rank=None)
        learn(mapped, cached, config, epochs=_EPOCHS, progress=None)
        return QuerySide(base, _mapping(base, mapped.matrix(1.0)))
    words = _Words(base, anchors)
    learn(words, cached, config, epochs=_EPOCHS, progress=None)
    table = words.table.detach().numpy()
    return QuerySide(base, StaticEncoder(table, base.tokenizer).encode_queries)


def _mapping(base: StaticEncoder, matrix: Vectors) -> Callable[[Sequence[str]], Vectors]:
    def queries(texts: Sequence[str]) -> Vectors:
        mapped = base.encode_queries(texts) @ matrix
        lengths = np.linalg.norm(mapped, axis=1, keepdims=True)
        return np.asarray(mapped / np.where(lengths, lengths, 1.0), dtype=np.float32)

    return queries


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRepeat:
    """One query side as good as the one that serves."""

    mode: str
    kind: str
    seed: int
    make: Callable[[], QuerySide]

    @property
    def name(self) -> str:
        """What is printed of it."""
        return f"{self.mode}, {self.kind} seed {self.seed}"


def query_repeats(material: Material, mode: str, seeds: Sequence[int]) -> Iterator[QueryRepeat]:
    """Give, of each two seeds, one that shuffles the same pairs and one that draws pairs again."""
    for number, seed in enumerate(seeds):
        kind = "same pairs" if number % 2 == 0 else "resampled pairs"
        pairs = material.pairs if number % 2 == 0 else _resampled(material.pairs, seed)

        def make(pairs: PairSet = pairs, seed: int = seed) -> QuerySide:
            return tuned(material, pairs, mode, seed=1000 + seed)

        yield QueryRepeat(mode=mode, kind=kind, seed=seed, make=make)


def with_share(pairs: PairSet, share: float, *, seed: int) -> PairSet:
    """Draw a share of the pairs."""
    order = np.random.default_rng(seed).permutation(len(pairs.pairs))
    kept = sorted(order[: int(share * len(order))].tolist())
    return PairSet(pairs=tuple(pairs.pairs[row] for row in kept), related=pairs.related)


def _resampled(pairs: PairSet, seed: int) -> PairSet:
    drawn = np.random.default_rng(seed).integers(0, len(pairs.pairs), len(pairs.pairs))
    kept = tuple(pairs.pairs[row] for row in sorted(set(drawn.tolist())))
    return PairSet(pairs=kept, related=pairs.related)
