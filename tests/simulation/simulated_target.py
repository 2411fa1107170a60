"""One target of one sidecar process, put together from production parts over a network."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from simulated_client import Network, engine_over, store_over

from desireline.connectors.documents import Vector
from desireline.sidecar.building import put_live, take_over
from desireline.sidecar.configuration.target import TargetConfig
from desireline.sidecar.follower import Follower
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.serving.encoders import EncoderPool
from desireline.sidecar.serving.live import Serving
from desireline.sidecar.target import Target
from desireline.sidecar.ways.choice import Wanted
from desireline.sidecar.writing.embedding_cache import EmbeddingCache
from desireline.trainer.encoders.base import Encoder
from desireline.trainer.encoders.fake import FakeEncoder
from desireline.trainer.encoders.two_tower import TwoTowerEncoder

NAME = "jobs"
INDEX = "jobs"
TEXT = ("title", "description")
ENCODERS = tuple(FakeEncoder(dimension=4, seed=seed) for seed in range(3))
#: Two that encode queries alone over the documents of the first, and one over the second's.
QUERY_SIDE = tuple(
    TwoTowerEncoder(queries=FakeEncoder(dimension=4, seed=seed), documents=ENCODERS[documents])
    for seed, documents in ((10, 0), (11, 0), (12, 1))
)
BY_FINGERPRINT: Mapping[str, Encoder] = {
    encoder.fingerprint: encoder for encoder in (*ENCODERS, *QUERY_SIDE)
}
LEASE_TTL_S = 3.0


def config(**swap: Any) -> TargetConfig:
    """Return the configuration of every process, with these differences."""
    plain = {"batch_size": 4, "lease_ttl": LEASE_TTL_S, "replica_wait": 1}
    return TargetConfig.model_validate(
        {"index": INDEX, "text": list(TEXT), "swap": {**plain, **swap}}
    )


CONFIG = config()


class CacheInMemory(EmbeddingCache):
    """Vectors of fake encoders depend on the text alone, so all migrations may share them."""

    def __init__(self) -> None:
        super().__init__(Path("unused"))
        self._vectors: dict[tuple[str, str], Vector] = {}

    def get(self, fingerprint: str, digests: Sequence[str]) -> dict[str, Vector]:
        found = {key: self._vectors.get((fingerprint, key)) for key in digests}
        return {key: vector for key, vector in found.items() if vector is not None}

    def put(self, fingerprint: str, vectors: Mapping[str, Vector]) -> None:
        self._vectors |= {(fingerprint, key): vector for key, vector in vectors.items()}

    def forget(self, fingerprint: str) -> None:
        for key in [key for key in self._vectors if key[0] == fingerprint]:
            del self._vectors[key]


CACHE = CacheInMemory()


class _Registry:
    """Knows the template of every fake encoder."""

    def get(self, _fingerprint: str) -> Any:
        return SimpleNamespace(text_template=CONFIG.template)


def open_target(
    network: Network, process: str, clock: Callable[[], datetime], settings: TargetConfig
) -> Target:
    """Return the parts one process works with."""
    return Target(
        name=NAME,
        config=settings,
        engine=engine_over(network, process),
        store=store_over(network, process),
        registry=_Registry(),  # type: ignore[arg-type]
        cache=CACHE,
        encoders=EncoderPool(BY_FINGERPRINT.__getitem__, keep=8),
        worker=None,  # type: ignore[arg-type]
        log_source=None,
        clock=clock,
    )


def reindex(target: Target, fingerprint: str, way: Wanted) -> str:
    """Do what `desireline reindex TARGET --way WAY --end-hold` does; say what was done."""
    with target.owned() as lease:
        finished = take_over(target, lease, SilentReporter())
        if finished is not None:
            return f"an interrupted cut-over was finished: generation {finished.number} is live"
        target.generations.give_up_way_back(now=target.clock(), force=True)
        swapped = put_live(
            target, fingerprint, lease, SilentReporter(), reason="simulated", way=way
        )
        return swapped.sentence


def follower(target: Target) -> Follower:
    """Return what keeps the slots fresh."""
    return Follower(
        engine=target.engine,
        generations=target.generations,
        writer_for=target.writer_for,
        clock=target.clock,
        caught_up=lambda *_: None,
    )


def serving(target: Target) -> Serving:
    """Return what answers queries."""
    return Serving(target.generations, target.encoders)
