"""Candidates that are the incumbent again: nothing in them is better, so none is promoted."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from gating.saboteurs import Material
from mining.static_encoder import StaticEncoder

from desireline.trainer.pairs import PairSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """One candidate as good as what serves."""

    kind: str
    seed: int
    make: Callable[[Material, int], StaticEncoder]

    @property
    def name(self) -> str:
        return f"{self.kind} seed {self.seed}"


def same_weights(material: Material, _seed: int) -> StaticEncoder:
    """Serve what serves."""
    return material.honest


def same_pairs(material: Material, seed: int) -> StaticEncoder:
    """Train on the same pairs, drawn in another order."""
    return material.town.tuned(material.pairs, seed=1000 + seed)


def resampled_pairs(material: Material, seed: int) -> StaticEncoder:
    """Train on a bootstrap of the pairs: the same users on other days."""
    pairs = material.pairs.pairs
    drawn = np.random.default_rng(seed).integers(0, len(pairs), len(pairs))
    unique = tuple(pairs[row] for row in sorted(set(drawn.tolist())))
    return material.town.tuned(PairSet(pairs=unique, related=material.pairs.related), seed=seed)


def resampled_log(material: Material, seed: int) -> StaticEncoder:
    """Train on what a bootstrap of the searches teaches, mined anew."""
    frame = material.night.sessions.frame
    names = frame.get_column("query_id").unique().sort()
    drawn = np.random.default_rng(seed).integers(0, names.len(), names.len())
    kept = names.gather(sorted(set(drawn.tolist())))
    sessions = material.night.sessions.only(pl.col("query_id").is_in(kept.implode()))
    pairs = material.town.pairs(material.town.cut(sessions, material.night.served))
    return material.town.tuned(pairs, seed=seed)


_SHARES: tuple[tuple[Callable[[Material, int], StaticEncoder], int], ...] = (
    (same_weights, 1),
    (same_pairs, 11),
    (resampled_pairs, 6),
    (resampled_log, 2),
)


def repeats(of: int, seeds: Sequence[int]) -> Iterator[Repeat]:
    """Give so many repeats of each kind as its share of the whole says."""
    for make, share in _SHARES:
        for seed in seeds[: max(1, share * of // 20)]:
            yield Repeat(kind=make.__name__.replace("_", " "), seed=seed, make=make)
