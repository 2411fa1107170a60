"""How many rows a batch may hold: by tokens on a processor, by trying on a GPU."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
import torch
from sentence_transformers import SentenceTransformer

from desireline.trainer.jobs import FitConfig
from desireline.trainer.lessons import Lessons
from desireline.trainer.losses.vectors import make_loss
from desireline.trainer.peers import apart, peers
from desireline.trainer.training.batch_loading import Collator

log = structlog.get_logger(__name__)

#: Tokens that go through a small encoder forward and backward in about a gigabyte.
_TOKENS_ON_CPU = 8_192
_FEWEST, _MOST_ON_CPU, _MOST = 16, 256, 2_048
_SAMPLE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """How long texts are, in tokens."""

    mean: float
    #: 99 of 100 texts are no longer.
    long: int


def lengths_of(model: SentenceTransformer, texts: Sequence[str], limit: int) -> Lengths:
    """Count the tokens of some of the texts, none longer than `limit`."""
    step = max(1, len(texts) // _SAMPLE)
    counts = [
        min(limit, _tokens(model.preprocess([text]))) for text in list(texts)[::step][:_SAMPLE]
    ]
    return Lengths(mean=float(np.mean(counts)), long=int(np.ceil(np.percentile(counts, 99))))


def _tokens(features: dict[str, Any]) -> int:
    ids: Any = features["input_ids"]
    return int(ids.shape[-1])


def found_batch_size(
    model: SentenceTransformer, lessons: Lessons, config: FitConfig, tokens_a_row: float
) -> int:
    """Find how many rows fit into a batch.

    On a processor memory is no sudden wall, so tokens are counted. On a GPU the size is doubled
    until one step, forward and backward, finds no memory; then the last that did is taken, times
    the processes that share a batch.
    """
    if model.device.type != "cuda":
        size = int(_TOKENS_ON_CPU / max(1.0, tokens_a_row))
        return min(_MOST_ON_CPU, max(_FEWEST, size))
    size, together = _FEWEST * 2, peers()
    with apart():
        while size < min(_MOST, len(lessons.anchors)) and _fits(model, lessons, config, size * 2):
            size *= 2
    size = together.agreed(size * together.count)
    log.info("batch size found by trying", rows=size)
    return size


def _fits(model: SentenceTransformer, lessons: Lessons, config: FitConfig, size: int) -> bool:
    """Go one step with the longest rows."""
    by_length = sorted(
        range(len(lessons.anchors)),
        key=lambda row: -len(lessons.passages[int(lessons.positive[row])].text),
    )
    loss = make_loss(config.loss, model, lessons, config.loss_settings).to(model.device)
    batch = Collator(model, lessons, config)([{"label": row} for row in by_length[:size]])
    features = [
        {
            key.removeprefix(start): value.to(model.device)
            for key, value in batch.items()
            if key.startswith(start)
        }
        for start in ("query_", "document_")
    ]
    try:
        loss(features, batch["label"].to(model.device)).backward()
    except torch.OutOfMemoryError:
        return False
    finally:
        model.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
    return True
