"""The query tower: all of the encoder trains on queries, against the index's own vectors."""

import time
from collections.abc import Callable

import torch
from sentence_transformers import SentenceTransformer

from desireline.trainer.batch_loading import tokenise
from desireline.trainer.devices import (
    attentions,
    fast_hardware,
    half_precision,
    training_device,
)
from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
from desireline.trainer.jobs import FitConfig, FitJob
from desireline.trainer.lessons import Indices
from desireline.trainer.losses.embedding import embed
from desireline.trainer.modes.cached_documents import CachedDocuments, Tower, budget_of, learn
from desireline.trainer.preparing import prepare_weights
from desireline.trainer.tuned import Progress, Tuned, interpolate, save_encoder


def train(
    job: FitJob,
    progress: Progress | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Train the encoder in `job.base` as a query tower; see `Mode`."""
    started = clock()
    cached = CachedDocuments.of(job)
    config = _settings(job.config)
    torch.manual_seed(config.seed)
    with fast_hardware(config):
        model = load_sentence_transformer(
            job.base, device=training_device(config.device), attentions=attentions(config)
        )
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        prepare_weights(model, config)
        training = learn(
            QueryTower(model, cached.lessons.anchors, config),
            cached,
            config,
            epochs=config.query.epochs,
            progress=progress,
            watchers=budget_of(config, started, clock),
        )
        interpolate(model, before, config.tuned_share)
        save_encoder(model, job.out)
    return Tuned.after(training, job.out, seconds=clock() - started)


class QueryTower(Tower):
    """Encodes the anchors' texts as they come."""

    def __init__(
        self, model: SentenceTransformer, anchors: tuple[str, ...], config: FitConfig
    ) -> None:
        super().__init__()
        self.model = model.train()
        self._anchors = anchors
        self._config = config

    def forward(self, anchors: Indices) -> torch.Tensor:
        """Return the anchors' vectors, shape (anchors, dimension)."""
        texts = [self._anchors[number] for number in anchors]
        tokens = tokenise(self.model, texts, task="query", most=self._config.query_tokens)
        device = self.model.device
        features = {
            name: value.to(device) if isinstance(value, torch.Tensor) else value
            for name, value in tokens.items()
        }
        with torch.autocast(device.type, torch.bfloat16, enabled=half_precision(self._config)):
            return embed(self.model, features).float()


def _settings(config: FitConfig) -> FitConfig:
    return config.model_copy(
        update={
            "learning_rate": config.query.learning_rate,
            "weight_decay": config.query.weight_decay,
        }
    )
