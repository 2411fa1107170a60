"""An encoder in training is measured, and its best weights are kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
import torch
from sentence_transformers import SentenceTransformer

from desireline.connectors.documents import Vectors
from desireline.trainer.evaluation import evaluate, rank_exact
from desireline.trainer.measures.base import Measure, Qrels
from desireline.trainer.training.watching import Training

log = structlog.get_logger(__name__)

Metrics = Mapping[str, float]
"""Means by the printed name of the measure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationData:
    """Queries with their right documents, and all documents that may be found."""

    qrels: Qrels
    documents: Mapping[str, str]
    measures: Sequence[Measure]

    def metrics(self, model: SentenceTransformer) -> Metrics:
        """Rank all documents for every query by the model as it is, and measure."""
        depth = max(measure.cutoff for measure in self.measures)
        found: Any = _Encoder(model)
        run = rank_exact(found, list(self.qrels), self.documents, k=depth)
        return evaluate(run, self.qrels, self.measures).table()


class _Encoder:
    """As much of an encoder as ranking needs, over a model in memory."""

    def __init__(self, model: SentenceTransformer) -> None:
        self._model = model

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self._encoded(self._model.encode_query, texts)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        return self._encoded(self._model.encode_document, texts)

    def _encoded(self, encode: Callable[..., Any], texts: Sequence[str]) -> Vectors:
        training = self._model.training
        vectors: Vectors = encode(
            list(texts), show_progress_bar=False, normalize_embeddings=self._cosine
        )
        self._model.train(training)
        return vectors

    @property
    def _cosine(self) -> bool:
        return str(self._model.similarity_fn_name or "cosine") == "cosine"


@dataclass(slots=True, kw_only=True)
class Evaluating:
    """Measures at the steps told, keeps the best weights, ends a training that gains no more."""

    data: EvaluationData
    monitor: str
    every_steps: int
    #: Evaluations without gain after which training ends; None for never.
    patience: int | None = None
    min_delta: float = 0.0
    baseline: float | None = None
    keep_best: bool = True
    #: By steps done; 0 is the encoder before training.
    history: dict[int, Metrics] = field(default_factory=dict)
    best_step: int = 0
    _best: dict[str, torch.Tensor] = field(default_factory=dict)
    _without_gain: int = 0

    def begin(self, training: Training) -> None:
        """Measure the encoder before training, unless that was done."""
        if not self.history:
            self._measure(training, 0)

    def stepped(self, training: Training) -> None:
        """Measure when it is time."""
        done = len(training.losses)
        if done % self.every_steps == 0 and done < training.steps:
            self._judge(training, done)

    def end(self, training: Training) -> None:
        """Measure the last weights and put the best ones back."""
        done = len(training.losses)
        if done not in self.history:
            self._judge(training, done)
        if self.keep_best and self.best_step != done:
            with torch.no_grad():
                for name, weight in training.trained.items():
                    weight.copy_(self._best[name])

    @property
    def before(self) -> Metrics:
        """The encoder before training."""
        return self.history[0]

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Give what a checkpoint must keep: tensors, and values for JSON."""
        values = {
            "history": [[step, dict(metrics)] for step, metrics in self.history.items()],
            "best_step": self.best_step,
            "without_gain": self._without_gain,
        }
        return self._best, values

    def restore(self, tensors: Mapping[str, torch.Tensor], values: Mapping[str, Any]) -> None:
        """Take back what `state` gave."""
        self.history = {int(step): metrics for step, metrics in values["history"]}
        self.best_step = int(values["best_step"])
        self._without_gain = int(values["without_gain"])
        self._best = dict(tensors)

    def _judge(self, training: Training, done: int) -> None:
        best = self.history[self.best_step][self.monitor]
        if self.best_step == 0 and self.baseline is not None:
            best = self.baseline
        self._measure(training, done)
        gained = self.history[done][self.monitor] > best + self.min_delta
        self._without_gain = 0 if gained else self._without_gain + 1
        if gained:
            self.best_step = done
            self._remember(training)
        if self.patience is not None and self._without_gain >= self.patience:
            training.ended = training.ended or (
                f"{self.monitor} did not rise in {self._without_gain} evaluations"
            )

    def _measure(self, training: Training, done: int) -> None:
        model: Any = training.model
        self.history[done] = training.measured[done] = self.data.metrics(model)
        if done == 0:
            self._remember(training)
        log.info("encoder measured", step=done, **{self.monitor: self.history[done][self.monitor]})

    def _remember(self, training: Training) -> None:
        if self.keep_best:
            self._best = {n: weight.detach().clone() for n, weight in training.trained.items()}
