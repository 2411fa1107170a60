"""How far each source of pairs can be trusted, learned from where the sources agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

Numbers = NDArray[np.float64]
Votes = NDArray[np.int8]
"""What each source says of each item, shape (items, sources): 1 right, -1 wrong, 0 nothing."""

_OUTCOMES = np.array([-1, 0, 1], dtype=np.int8)
_LEAST_SHARE = 0.01


class LabelModelConfig(BaseModel, frozen=True, extra="forbid"):
    """What is believed before any agreement is seen."""

    #: Of a vote whose source is not known to be better or worse.
    usual_accuracy: float = Field(default=0.7, gt=0.5, lt=1)
    #: Items that this belief is worth, of either label.
    strength: float = Field(default=10.0, gt=0)
    #: Share of right items among those of which nothing is known but votes.
    usual_share: float = Field(default=0.5, gt=0, lt=1)
    iterations: int = Field(default=200, ge=1)
    #: No P(right) moves further than this in a turn: it has converged.
    tolerance: float = Field(default=1e-5, gt=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceQuality:
    """What was learned of one source."""

    #: Share of its votes that are right; what was believed before, without any.
    accuracy: float
    #: How much likelier it votes "right" of a right item than of a wrong one.
    likelihood_ratio: float
    votes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What all sources say together."""

    #: P(right) of each item, shape (items,).
    right: Numbers
    #: By the name of the source.
    sources: Mapping[str, SourceQuality]


def combine(
    votes: Votes,
    sources: Sequence[str],
    prior: Numbers | None = None,
    *,
    config: LabelModelConfig | None = None,
) -> Labels:
    """Estimate how each source votes, and each item's label, together.

    Assumptions (Dawid and Skene 1979; weak supervision after Ratner et al. 2016):
    - a source says "right", "wrong" or nothing with chances that depend on the label alone, so
      that to say nothing tells something as well, as far as the items show it;
    - given the label, sources err independently of each other and of the prior.

    Expectation maximisation. Sources that agree with each other, and with what is known before
    any vote, are believed more; sources that only ever say "right" are believed by how much
    oftener they say it of right items.

    Args:
        votes: shape (items, sources); items that a source could not have voted on belong in
            another call.
        sources: the names of the columns.
        prior: P(right) of each item before any vote, such as a judgment's grade; NaN where
            nothing is known. None is all NaN.
        config: what is believed before.

    """
    config = config or LabelModelConfig()
    told = np.full(len(votes), np.nan) if prior is None else prior
    known = ~np.isnan(told)
    before = np.where(known, np.clip(np.nan_to_num(told), 1e-6, 1 - 1e-6), config.usual_share)
    said = (votes[:, :, None] == _OUTCOMES).astype(np.float64)
    rates = believed = _believed(said, config)
    right = _right(said, rates, before)
    for _ in range(config.iterations):
        rates = _rates(said, right, believed, config.strength)
        before = np.where(known, before, _share(right[~known], config))
        better = _right(said, rates, before)
        moved = float(np.abs(better - right).max(initial=0.0))
        right = better
        if moved < config.tolerance:
            break
    return Labels(right=right, sources=_qualities(sources, votes, right, rates, config))


def _believed(said: Numbers, config: LabelModelConfig) -> Numbers:
    """Chance of each outcome by label before any agreement; shape (sources, 2, 3)."""
    votes = 1 - said[:, :, 1].mean(axis=0) if len(said) else np.full(said.shape[1], 0.5)
    good, bad = config.usual_accuracy * votes, (1 - config.usual_accuracy) * votes
    wrong_items = np.stack([good, 1 - votes, bad], axis=1)
    right_items = np.stack([bad, 1 - votes, good], axis=1)
    return np.stack([wrong_items, right_items], axis=1)


def _right(said: Numbers, rates: Numbers, before: Numbers) -> Numbers:
    """Weigh every vote by how much likelier it is of a right item (expectation)."""
    evidence = np.log(rates[:, 1] + 1e-12) - np.log(rates[:, 0] + 1e-12)
    odds = np.log(before) - np.log1p(-before) + np.einsum("ijk,jk->i", said, evidence)
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * odds)), dtype=np.float64)


def _rates(said: Numbers, right: Numbers, believed: Numbers, strength: float) -> Numbers:
    """Count what each source says of right and of wrong items (maximisation)."""
    labels = np.stack([1 - right, right])
    counted = np.einsum("ci,ijk->jck", labels, said) + strength * believed
    return np.asarray(counted / counted.sum(axis=2, keepdims=True), dtype=np.float64)


def _share(right: Numbers, config: LabelModelConfig) -> float:
    total = right.sum() + config.strength * config.usual_share
    share = total / (len(right) + config.strength)
    return float(np.clip(share, _LEAST_SHARE, 1 - _LEAST_SHARE))


def _qualities(
    sources: Sequence[str], votes: Votes, right: Numbers, rates: Numbers, config: LabelModelConfig
) -> dict[str, SourceQuality]:
    agreed = np.where(votes > 0, right[:, None], 1 - right[:, None]) * (votes != 0)
    counts = (votes != 0).sum(axis=0)
    weight = config.strength
    accuracy = (agreed.sum(axis=0) + weight * config.usual_accuracy) / (counts + weight)
    ratio = (rates[:, 1, 2] + 1e-12) / (rates[:, 0, 2] + 1e-12)
    return {
        name: SourceQuality(
            accuracy=float(accuracy[column]),
            likelihood_ratio=float(ratio[column]),
            votes=int(counts[column]),
        )
        for column, name in enumerate(sources)
    }
