"""What to hold of a pair of which little is known: what is known of its like."""

from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, Field

from desireline.trainer.clickmodels.click_log import ClickLog
from desireline.trainer.clickmodels.users import Numbers
from desireline.trainer.pair_features import Links, PairFeatures

#: Attraction before any log, and the looks that it is worth.
_USUAL, _USUAL_LOOKS = 0.2, 1.0


class BackingOffConfig(BaseModel, frozen=True, extra="forbid"):
    """How fast a pair's own evidence outweighs that of its like."""

    #: Looks that the evidence of like queries is worth to a pair.
    strength: float = Field(default=2.0, gt=0)
    #: Looks that the mean of the whole log is worth to a cluster of like queries.
    cluster_strength: float = Field(default=5.0, gt=0)
    #: Mean to back off to; left out: the one that the log has.
    mean: float | None = Field(default=None, gt=0, lt=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackingOff:
    """Query, then cluster, then the whole log: a Beta prior for every pair.

    The prior mean of a pair is what its document got under like queries (its cluster; see
    `PairFeatures.links`, which leave the query itself out), drawn to the mean of the whole log
    where the cluster has seen little. Without features the cluster is empty and the mean of the
    log remains.
    """

    config: BackingOffConfig
    links: Links | None

    @classmethod
    def of(
        cls, log: ClickLog, features: PairFeatures | None, config: BackingOffConfig
    ) -> "BackingOff":
        """Link the pairs of a log."""
        return cls(config=config, links=features.links(log.pairs) if features else None)

    def mean(self, hits: Numbers, looks: Numbers) -> Numbers:
        """Prior mean of each pair, from how often each was looked at and attractive."""
        usual = self.usual(hits, looks)
        if self.links is None:
            return np.full(hits.shape, usual)
        strength = self.config.cluster_strength
        return (self.links.pool(hits) + strength * usual) / (self.links.pool(looks) + strength)

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
