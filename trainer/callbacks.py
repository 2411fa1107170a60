"""What `fit` can be told to do beside training; Finetuner's names where it had them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationCallback:
    """Measure the encoder on the evaluation data while it trains."""

    #: How often, in epochs.
    every: float = 1.0
    #: What is watched: the name of a measure, such as `mrr@20`.
    monitor: str = "mrr@20"


@dataclass(frozen=True, slots=True, kw_only=True)
class BestModelCheckpoint:
    """Keep the weights that did best on the evaluation data, not the last ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStopping:
    """End training when the evaluation data says that it helps no more."""

    #: Evaluations in a row without a gain.
    patience: int = 2
    #: A gain is more than this.
    min_delta: float = 0.0
    #: What must be reached at least; the encoder before training if left out.
    baseline: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WiSEFTCallback:
    """Mix the tuned weights with those before: 1 is tuned alone, 0 the encoder as it was."""

    alpha: float = 0.4


Callback = EvaluationCallback | BestModelCheckpoint | EarlyStopping | WiSEFTCallback
