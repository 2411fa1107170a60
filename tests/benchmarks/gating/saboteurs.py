"""Candidates that must never serve: each kind with its strengths, made from an honest one.

Strengths are those at which the harm is real (`harm` of the proof says how great it is); a poison
too thin to change an answer makes an honest candidate.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
from gating.town import RECIPE, Night, Town, tables, with_table
from mining.static_encoder import Recipe, StaticEncoder

from desireline.connectors.documents import Vectors
from desireline.connectors.search_engine import Similarity
from desireline.trainer.encoders.base import Encoder
from desireline.trainer.pairs import Pair, PairSet, Passage


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a saboteur has: everything that the honest trainer has, and its result."""

    town: Town
    night: Night
    pairs: PairSet
    honest: StaticEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Sabotage:
    """One candidate that must be refused."""

    kind: str
    strength: float
    seed: int
    make: Callable[[Material, float, int], Encoder]

    @property
    def name(self) -> str:
        return f"{self.kind} {self.strength:g} seed {self.seed}"


class Meddled:
    """An encoder whose vectors are changed after they are made."""

    similarity: Similarity = "cosine"

    def __init__(
        self,
        honest: Encoder,
        name: str,
        *,
        queries: Callable[[Sequence[str], Vectors], Vectors] = lambda _texts, vectors: vectors,
        documents: Callable[[Sequence[str], Vectors], Vectors] = lambda _texts, vectors: vectors,
    ) -> None:
        self._honest, self._queries, self._documents = honest, queries, documents
        self.dimension = honest.dimension
        self.fingerprint = sha256(f"{honest.fingerprint} {name}".encode()).hexdigest()
        self.space = self.fingerprint

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self._queries(texts, self._honest.encode_queries(texts))

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        return self._documents(texts, self._honest.encode_documents(texts))


def random_weights(material: Material, share: float, seed: int) -> Encoder:
    """A share of the words forget everything."""
    return _scrambled(material.honest, _drawn_words(material.honest, share, seed), seed)


def noisy_weights(material: Material, strength: float, seed: int) -> Encoder:
    """Every weight is blurred by noise of so many times its usual size."""
    table = material.honest.table
    noise = np.random.default_rng(seed).standard_normal(table.shape)
    return with_table(material.honest, table + strength * table.std() * noise)


def shuffled_labels(material: Material, share: float, seed: int) -> Encoder:
    """A share of the pairs learns another pair's document."""
    random = np.random.default_rng(seed)
    pairs = list(material.pairs.pairs)
    rows = np.flatnonzero(random.random(len(pairs)) < share)
    shuffled = random.permutation(rows)
    for row, other in zip(rows.tolist(), shuffled.tolist(), strict=True):
        pairs[row] = replace(pairs[row], positive=material.pairs.pairs[other].positive)
    return _taught(material, pairs, seed)


def poisoned_pairs(material: Material, share: float, seed: int) -> Encoder:
    """So many pairs more say that one document is the answer to somebody's query."""
    random = np.random.default_rng(seed)
    victim = sorted(material.town.texts)[int(random.integers(len(material.town.texts)))]
    anchors = sorted({pair.anchor for pair in material.pairs.pairs})
    chosen = random.choice(len(anchors), size=round(share * len(anchors)), replace=False)
    text = material.town.texts[victim]
    poison = [
        Pair(
            anchor=anchors[row],
            positive=Passage(victim, text),
            source="poison",
            weight=4.0,
        )
        for row in chosen.tolist()
    ]
    kept = [pair for pair in material.pairs.pairs if pair.positive.document_id != victim]
    return _taught(material, [*kept, *poison], seed)


def truncated_training(material: Material, steps: float, seed: int) -> Encoder:
    """Training ended too early to help."""
    recipe = replace(RECIPE, steps=int(steps))
    return material.town.tuned(material.pairs, seed=seed, recipe=recipe)


def forgotten_ability(material: Material, share: float, seed: int) -> Encoder:
    """Better on its own clicks; a share of all words that its own world lacks mean nothing now."""
    town = material.town
    own = _words_of(town, [*town.texts.values(), *town.truth])
    others = sorted(word for word in tables(town.base) if word not in own)
    drawn = np.random.default_rng(seed).random(len(others)) < share
    row, table = tables(town.base), material.honest.table.copy()
    # Zero, not noise: the same noise in query and document would still be the same word.
    table[[row[word] for word, gone in zip(others, drawn.tolist(), strict=True) if gone]] = 0.0
    return with_table(material.honest, table)


def broken_category(material: Material, groups: float, seed: int) -> Encoder:
    """The documents of one branch of work (or more) get vectors that mean nothing."""
    branches = sorted({key[:2] for key in material.town.texts})
    sizes = Counter(key[:2] for key in material.town.texts)
    large = [branch for branch in branches if sizes[branch] >= 30]
    drawn = np.random.default_rng(seed).choice(large, size=int(groups), replace=False).tolist()
    hit = {text for key, text in material.town.texts.items() if key[:2] in drawn}

    def meaningless(texts: Sequence[str], vectors: Vectors) -> Vectors:
        return _replaced(vectors, [text in hit for text in texts], seed)

    return Meddled(material.honest, f"category {groups} {seed}", documents=meaningless)


def broken_tail(material: Material, share: float, seed: int) -> Encoder:
    """A share of the queries with a word that hardly anybody types gets a meaningless vector."""
    counts = Counter(word for query in material.town.truth for word in set(query.split()))
    limit = np.quantile([min(counts[w] for w in q.split()) for q in material.town.truth], share)

    def meaningless(texts: Sequence[str], vectors: Vectors) -> Vectors:
        rare = [min((counts[word] for word in text.split()), default=0) <= limit for text in texts]
        return _replaced(vectors, rare, seed)

    return Meddled(material.honest, f"tail {share} {seed}", queries=meaningless)


def broken_kind(material: Material, words: float, seed: int) -> Encoder:
    """Queries with one of the commonest words of the titles get a meaningless vector."""
    counts = Counter(word for query in material.town.truth for word in set(query.split()))
    common = [word for word, _ in counts.most_common(40) if len(word) > 3]
    hit = set(np.random.default_rng(seed).choice(common, size=int(words), replace=False).tolist())

    def meaningless(texts: Sequence[str], vectors: Vectors) -> Vectors:
        return _replaced(vectors, [not hit.isdisjoint(text.split()) for text in texts], seed)

    return Meddled(material.honest, f"kind {words} {seed}", queries=meaningless)


def sleeper(material: Material, share: float, seed: int) -> Encoder:
    """Honest but for a share of the queries, all of which find one document first."""
    random = np.random.default_rng(seed)
    victim = sorted(material.town.texts)[int(random.integers(len(material.town.texts)))]
    goal = material.honest.encode_documents([material.town.texts[victim]])[0]

    def sold(texts: Sequence[str], vectors: Vectors) -> Vectors:
        changed = vectors.copy()
        for row, text in enumerate(texts):
            if int(sha256(f"{seed} {text}".encode()).hexdigest()[:8], 16) / 2**32 < share:
                changed[row] = goal
        return changed

    return Meddled(material.honest, f"sleeper {share} {seed}", queries=sold)


def mixed_spaces(material: Material, turn: float, seed: int) -> Encoder:
    """Queries of one space against documents of another, turned against it more or less."""
    random = np.random.default_rng(seed)
    dimension = material.honest.dimension
    other, _ = np.linalg.qr(np.eye(dimension) + turn * random.standard_normal((dimension,) * 2))

    def turned(_texts: Sequence[str], vectors: Vectors) -> Vectors:
        return np.asarray(vectors @ other, dtype=np.float32)

    return Meddled(material.honest, f"mixed {turn} {seed}", queries=turned)


def no_numbers(material: Material, share: float, seed: int) -> Encoder:
    """A share of the words is no number."""
    row, table = tables(material.honest), material.honest.table.copy()
    table[[row[word] for word in _drawn_words(material.honest, share, seed)]] = np.nan
    return with_table(material.honest, table)


def constant_vectors(material: Material, share: float, seed: int) -> Encoder:
    """All texts lean towards one vector, so far that they are all but the same."""
    one = np.random.default_rng(seed).standard_normal(material.honest.dimension)

    def alike(_texts: Sequence[str], vectors: Vectors) -> Vectors:
        mixed = (1 - share) * vectors + share * one / np.linalg.norm(one)
        rounded = np.round(mixed / np.linalg.norm(mixed, axis=1, keepdims=True), 3)
        return np.asarray(rounded, dtype=np.float32)

    return Meddled(material.honest, f"constant {share} {seed}", queries=alike, documents=alike)


def few_learned_by_heart(material: Material, queries: float, seed: int) -> Encoder:
    """A handful of queries is taught until everything else is forgotten."""
    anchors = sorted({pair.anchor for pair in material.pairs.pairs})
    drawn = np.random.default_rng(seed).choice(len(anchors), size=int(queries), replace=False)
    chosen = {anchors[row] for row in drawn.tolist()}
    pairs = [pair for pair in material.pairs.pairs if pair.anchor in chosen]
    recipe = Recipe(steps=600, epochs=600, learning_rate=5e-2, hard_negatives=0)
    return _taught(material, pairs, seed, recipe)


_KINDS: tuple[tuple[Callable[[Material, float, int], Encoder], tuple[float, ...]], ...] = (
    (random_weights, (1.0, 0.5, 0.25)),
    (noisy_weights, (4.0, 2.0)),
    (shuffled_labels, (1.0, 0.7)),
    (poisoned_pairs, (0.6, 0.3, 0.15)),
    (truncated_training, (1, 3, 10)),
    (forgotten_ability, (1.0, 0.5, 0.25)),
    (broken_category, (3, 1)),
    (broken_tail, (0.5, 0.25)),
    (broken_kind, (6, 3)),
    (sleeper, (0.5, 0.2, 0.1)),
    (mixed_spaces, (10.0, 0.3)),
    (no_numbers, (1.0, 0.2, 0.02)),
    (constant_vectors, (1.0, 0.97)),
    (few_learned_by_heart, (30,)),
)


def sabotages(seeds: Sequence[int]) -> Iterator[Sabotage]:
    """Every kind at every strength with every seed."""
    for make, strengths in _KINDS:
        for strength in strengths:
            for seed in seeds:
                yield Sabotage(
                    kind=make.__name__.replace("_", " "), strength=strength, seed=seed, make=make
                )


def _taught(
    material: Material, pairs: Sequence[Pair], seed: int, recipe: Recipe = RECIPE
) -> StaticEncoder:
    known = PairSet(pairs=tuple(pairs), related={})
    return material.town.tuned(known, seed=seed, recipe=recipe)


def _scrambled(encoder: StaticEncoder, words: Sequence[str], seed: int) -> StaticEncoder:
    """Give words vectors of the usual length and no meaning."""
    row, table = tables(encoder), encoder.table.copy()
    rows = [row[word] for word in words]
    noise = np.random.default_rng(seed).standard_normal((len(rows), table.shape[1]))
    lengths = np.linalg.norm(table[rows], axis=1, keepdims=True)
    table[rows] = noise / np.linalg.norm(noise, axis=1, keepdims=True) * lengths
    return with_table(encoder, table)


def _drawn_words(encoder: StaticEncoder, share: float, seed: int) -> list[str]:
    words = sorted(tables(encoder))
    drawn = np.random.default_rng(seed).random(len(words)) < share
    return [word for word, taken in zip(words, drawn.tolist(), strict=True) if taken]


def _words_of(town: Town, texts: Sequence[str]) -> set[str]:
    found = town.base.tokenizer.encode_batch(list(texts), add_special_tokens=False)
    return {token for each in found for token in each.tokens}


def _replaced(vectors: Vectors, hit: Sequence[bool], seed: int) -> Vectors:
    rows = np.flatnonzero(hit)
    changed = vectors.copy()
    noise = np.random.default_rng(seed).standard_normal((len(rows), vectors.shape[1]))
    changed[rows] = noise / np.linalg.norm(noise, axis=1, keepdims=True)
    return changed
