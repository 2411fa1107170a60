"""The models that a target's miners may ask: who writes queries, who reads pairs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from desireline.sidecar.config import secret
from desireline.sidecar.configuration.text_models import EndpointWriterConfig
from desireline.sidecar.learning.query_endpoint import QueryEndpoint
from desireline.sidecar.reports.reporting import LogReporter
from desireline.sidecar.target import Target
from desireline.trainer.jobs import RerankJob, WriteQueriesJob
from desireline.trainer.miners.base import Generate, Rerank


def writer_of(target: Target) -> Generate | None:
    """Return who writes queries, if anyone is configured. Raises ConfigError without its key."""
    settings = target.config.tune.query_writer
    if settings is None:
        return None
    if isinstance(settings, EndpointWriterConfig):
        return QueryEndpoint(
            url=settings.url,
            model=settings.model,
            instruction=settings.instruction,
            timeout_s=settings.timeout,
            key=secret(settings.key_env, "tune.query_writer") if settings.key_env else None,
        )

    def write(texts: Sequence[str], most: int) -> list[list[str]]:
        job = WriteQueriesJob(
            folder=settings.folder,
            texts=tuple(texts),
            most=most,
            prompt=settings.prompt,
            query_tokens=settings.query_tokens,
            seed=target.config.tune.seed,
        )
        written: list[list[str]] = target.worker.run(job, LogReporter())["queries"]
        return written

    return write


def cross_encoder_of(target: Target) -> Rerank | None:
    """Return what reads queries and documents together, if it is configured."""
    folder = target.config.tune.cross_encoder
    if folder is None:
        return None

    def rerank(pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        job = RerankJob(folder=folder, pairs=tuple(pairs))
        return np.array(target.worker.run(job, LogReporter())["right"], dtype=np.float64)

    return rerank
