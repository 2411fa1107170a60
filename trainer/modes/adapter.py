"""A linear map on query vectors: documents stay, and training takes seconds.

The query `q` becomes `q + q W`, with `W` zero at the start, so that an adapter which learned
nothing changes nothing, and weight decay pulls towards that. `W` may be of low rank. As a map
of vectors is all that trains, every query is encoded once and each step is one matrix product
with the catalogue.
"""

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import structlog
import torch

from desireline.connectors.documents import Vectors
from desireline.trainer.encoders.onnx import OnnxEncoder
from desireline.trainer.encoders.settings import EncoderSettings
from desireline.trainer.errors import QueryVectorsError
from desireline.trainer.forms.query_map import mapped
from desireline.trainer.jobs import FitConfig, FitJob
from desireline.trainer.lessons import Indices
from desireline.trainer.modes.cached_documents import Tower, train_tower
from desireline.trainer.query_vectors import QueryVectors
from desireline.trainer.training.devices import training_device
from desireline.trainer.training.tuned import Progress, Tuned

log = structlog.get_logger(__name__)


def train(
    job: FitJob,
    progress: Progress | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Learn the map and put it on top of the encoder in `job.base`; see `Mode`."""
    config = _settings(job.config)

    def make(anchors: tuple[str, ...]) -> "QueryMap":
        queries = _vectors(job, anchors, threads=config.threads)
        return QueryMap(queries, rank=config.adapter.rank).to(training_device(config.device))

    return train_tower(
        job,
        config,
        epochs=config.adapter.epochs,
        make=make,
        encoder_of=lambda tower: mapped(job.base, tower.matrix(config.tuned_share), job.similarity),
        progress=progress,
        clock=clock,
    )


class QueryMap(Tower):
    """Maps the anchors' cached vectors."""

    queries: torch.Tensor

    def __init__(self, queries: Vectors, *, rank: int | None) -> None:
        super().__init__()
        self.register_buffer("queries", torch.from_numpy(queries), persistent=False)
        length = queries.shape[1]
        if rank is None:
            self.change = torch.nn.ParameterList([torch.zeros(length, length)])
        else:
            down = torch.randn(length, rank) / math.sqrt(length)
            self.change = torch.nn.ParameterList([down, torch.zeros(rank, length)])

    def forward(self, anchors: Indices) -> torch.Tensor:
        """Return the mapped vectors, shape (anchors, dimension)."""
        queries: torch.Tensor = self.queries[torch.from_numpy(anchors)]
        change: torch.Tensor = queries
        for factor in self.change:
            change = change @ factor
        return queries + change

    def matrix(self, share: float) -> Vectors:
        """Return `I + W`, by which `q` becomes `q + q W`, with a share of the learned `W`."""
        change = self.change[0]
        for factor in list(self.change)[1:]:
            change = change @ factor
        whole: torch.Tensor = torch.eye(len(change), device=change.device) + share * change
        return np.asarray(whole.detach().cpu().numpy(), dtype=np.float32)


def _vectors(job: FitJob, anchors: Sequence[str], *, threads: int | None) -> Vectors:
    """Return the anchors' vectors by the graph that serves, for the map must fit those.

    What the job brings is taken; that graph is opened only where something is missing.
    """

    def encode(queries: Sequence[str]) -> Vectors:
        log.info("the base encodes anchors", anchors=len(queries), of=len(anchors))
        return OnnxEncoder(job.base, threads=threads).encode_queries(queries)

    if job.queries is None or job.encoder is None:
        return encode(anchors)
    settings = EncoderSettings.read(job.base)
    try:
        known = QueryVectors.read(
            job.queries,
            encoder=job.encoder,
            dimension=settings.dimension,
            unit=settings.similarity == "cosine",
        )
    except QueryVectorsError as error:
        log.warning("the vectors of queries are not taken", reason=str(error))
        return encode(anchors)
    return known.complete(anchors, encode)


def _settings(config: FitConfig) -> FitConfig:
    return config.model_copy(
        update={
            "learning_rate": config.adapter.learning_rate,
            "weight_decay": config.adapter.weight_decay,
        }
    )
