"""What to hold of a pair of which little is known: what is known of its like."""

from dataclasses import dataclass, field

import numpy as np
from pydantic import BaseModel, Field

from desireline.trainer.clickmodels.click_log import ClickLog
from desireline.trainer.clickmodels.users import Indices, Numbers
from desireline.trainer.documents.pair_features import Links, PairFeatures

#: Attraction before any log, and the looks that it is worth.
_USUAL, _USUAL_LOOKS = 0.2, 1.0
_LEAST_MEAN = 1e-3


class BackingOffConfig(BaseModel, frozen=True, extra="forbid"):
    """How fast a pair's own evidence outweighs that of its like."""

    #: Looks that the evidence of like queries is worth to a pair.
    strength: float = Field(default=2.0, gt=0)
    #: Looks that the mean of the whole log is worth to a cluster of like queries.
    cluster_strength: float = Field(default=5.0, gt=0)
    #: Looks that the mean of the whole log is worth to the pairs of one rank.
    rank_strength: float = Field(default=20.0, gt=0)
    #: Mean to back off to; left out: the one that the log has.
    mean: float | None = Field(default=None, gt=0, lt=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackingOff:
    """Query, then cluster, then rank, then the whole log: a Beta prior for every pair.

    The prior mean of a pair is what its document got under like queries (its cluster; see
    `PairFeatures.links`, which leave the query itself out); where the cluster has seen little, what
    all pairs of its usual rank got, for the engine ranks better than chance; and where even they
    are few, the mean of the log. Without features the cluster is empty. A fixed `mean` stands in
    for rank and log.
    """

    config: BackingOffConfig
    links: Links | None
    #: Group of each pair, by its usual rank; empty where ranks are not to be believed.
    rank: Indices = field(default_factory=lambda: np.zeros(0, dtype=np.intp))

    @classmethod
    def of(
        cls, log: ClickLog, features: PairFeatures | None, config: BackingOffConfig
    ) -> "BackingOff":
        """Link the pairs of a log."""
        links = features.links(log.pairs) if features else None
        return cls(config=config, links=links, rank=_usual_rank(log))

    def pinned(self, mean: float) -> "BackingOff":
        """Back off to one mean, and to ranks not at all.

        For models that learn how ranks are looked at: clicks that a rank lacks would else be laid
        to its documents and to its examination alike, and both could drift.
        """
        mean = min(max(mean, _LEAST_MEAN), 1 - _LEAST_MEAN)
        config = self.config.model_copy(update={"mean": self.config.mean or mean})
        return BackingOff(config=config, links=self.links)

    def mean(self, hits: Numbers, looks: Numbers) -> Numbers:
        """Prior mean of each pair, from how often each was looked at and attractive."""
        usual = self._of_rank(hits, looks)
        if self.links is None:
            return usual
        strength = self.config.cluster_strength
        return (self.links.pool(hits) + strength * usual) / (self.links.pool(looks) + strength)

    def _of_rank(self, hits: Numbers, looks: Numbers) -> Numbers:
        """Mean of the pairs of the same rank, drawn to that of the whole log."""
        usual, strength = self.usual(hits, looks), self.config.rank_strength
        if self.config.mean is not None or len(self.rank) != len(hits):
            return np.full(hits.shape, usual)
        hit, looked = (np.bincount(self.rank, each) for each in (hits, looks))
        return np.asarray(((hit + strength * usual) / (looked + strength))[self.rank])

    def shrink(self, hits: Numbers, looks: Numbers) -> Numbers:
        """Posterior mean of each pair."""
        strength = self.config.strength
        return (hits + strength * self.mean(hits, looks)) / (looks + strength)

    def variance(self, mean: Numbers, looks: Numbers) -> Numbers:
        """Posterior variance of each pair, as if the expected looks had been seen."""
        return mean * (1 - mean) / (looks + self.config.strength + 1)

    def usual(self, hits: Numbers, looks: Numbers) -> float:
        """Mean of the whole log."""
        if self.config.mean is not None:
            return self.config.mean
        return float((hits.sum() + _USUAL * _USUAL_LOOKS) / (looks.sum() + _USUAL_LOOKS))


def _usual_rank(log: ClickLog) -> Indices:
    """Group pairs by the rank that the engine usually gave them; groups widen downwards."""
    arrays = log.arrays
    position = np.maximum(1.0, np.array(arrays.positions, dtype=np.float64))
    if not len(position):
        return np.zeros(0, dtype=np.intp)
    mean = arrays.by_pair(arrays.impressions * np.log2(position)[arrays.place])
    mean /= np.maximum(arrays.seen_by_pair, 1e-300)
    return np.asarray(np.round(2 * mean), dtype=np.intp)
