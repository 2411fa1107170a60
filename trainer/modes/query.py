"""The query tower: all of the encoder trains on queries, against the index's own vectors."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from sentence_transformers import SentenceTransformer

from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
from desireline.trainer.jobs import FitConfig, FitJob
from desireline.trainer.lessons import Indices
from desireline.trainer.losses.embedding import embed
from desireline.trainer.modes.cached_documents import Tower, train_tower
from desireline.trainer.training.batch_loading import KnownTokens
from desireline.trainer.training.devices import (
    attentions,
    half_precision,
    training_device,
)
from desireline.trainer.training.frozen_layers import frozen_layers_kept
from desireline.trainer.training.preparing import prepare_weights
from desireline.trainer.training.tuned import Progress, Tuned, interpolate


def train(
    job: FitJob,
    progress: Progress | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Train the encoder in `job.base` as a query tower; see `Mode`."""
    config = _settings(job.config)

    def make(anchors: tuple[str, ...]) -> "QueryTower":
        model = load_sentence_transformer(
            job.base, device=training_device(config.device), attentions=attentions(config)
        )
        prepare_weights(model, config)
        return QueryTower(model, anchors, config)

    return train_tower(
        job,
        config,
        epochs=config.query.epochs,
        make=make,
        encoder_of=QueryTower.encoder,
        progress=progress,
        clock=clock,
    )


class QueryTower(Tower):
    """Encodes the anchors, each tokenised once."""

    def __init__(
        self, model: SentenceTransformer, anchors: tuple[str, ...], config: FitConfig
    ) -> None:
        super().__init__()
        self.model = model.train()
        self._before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        self._tokens = KnownTokens(model, anchors, task="query", most=config.query_tokens)
        self._config = config

    def forward(self, anchors: Indices) -> torch.Tensor:
        """Return the anchors' vectors, shape (anchors, dimension)."""
        device = self.model.device
        features = {
            name: value.to(device) if isinstance(value, torch.Tensor) else value
            for name, value in self._tokens.of(anchors.tolist()).items()
        }
        with torch.autocast(device.type, torch.bfloat16, enabled=half_precision(self._config)):
            return embed(self.model, features).float()

    def while_training(self) -> AbstractContextManager[object]:
        """Keep what frozen layers put out."""
        return frozen_layers_kept(self.model, self._config)

    def encoder(self) -> SentenceTransformer:
        """Return the encoder with its share of the trained weights."""
        interpolate(self.model, self._before, self._config.tuned_share)
        return self.model


def _settings(config: FitConfig) -> FitConfig:
    return config.model_copy(
        update={
            "learning_rate": config.query.learning_rate,
            "weight_decay": config.query.weight_decay,
        }
    )
