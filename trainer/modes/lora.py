"""Low-rank changes of both sides, merged before anybody sees them (Hu et al. 2021)."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import peft
import torch
from sentence_transformers import SentenceTransformer

from desireline.trainer.errors import TrainerError
from desireline.trainer.jobs import FitJob, LoraConfig
from desireline.trainer.training.tuned import Progress, Tuned
from desireline.trainer.training.tuning import Dress, tune


def train(
    job: FitJob,
    progress: Progress | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Train low-rank changes of every linear layer and merge them; see `Mode`.

    Raises:
        TrainerError: the encoder has no linear layer, as a table of word vectors has none.

    """
    lora = job.config.lora
    config = job.config.model_copy(update={"learning_rate": lora.learning_rate})
    changed = job.model_copy(update={"config": config})
    return tune(changed, progress, clock=clock, dress=_low_rank(lora))


def _low_rank(config: LoraConfig) -> Dress:
    @contextmanager
    def worn(model: SentenceTransformer) -> Iterator[None]:
        first: Any = model[0]
        if not any(isinstance(module, torch.nn.Linear) for module in first.modules()):
            raise TrainerError(
                "mode lora changes the linear layers of an encoder, and this one has none;"
                " nothing was trained",
                next_step='take tune.mode = "full", which is fast for such an encoder',
            )
        changes = peft.LoraConfig(
            r=config.rank, lora_alpha=2 * config.rank, target_modules="all-linear", bias="none"
        )
        first.model = peft.get_peft_model(first.model, changes)
        yield
        first.model = first.model.merge_and_unload()

    return worn
