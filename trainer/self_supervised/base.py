"""Port: texts become a loss, and nobody has to know an answer."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from desireline.trainer.errors import TrainerError
from desireline.trainer.losses.base import Features
from desireline.trainer.self_supervised_config import SelfSupervisedConfig
from desireline.trainer.training.batch_loading import tokenise


class Objective(torch.nn.Module, ABC):
    """Holds the encoder, and weights of its own that are thrown away afterwards.

    Whatever it draws, it draws from torch's own generator, so that a resumed training draws on.
    """

    def __init__(self, model: SentenceTransformer, tokens: int) -> None:
        super().__init__()
        self.model = model
        self._tokens = tokens

    @abstractmethod
    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the loss of some texts, each of them once."""

    def features(self, texts: Sequence[str]) -> Features:
        """Return the tokens of documents on the encoder's device."""
        found: dict[str, Any] = tokenise(self.model, texts, task="document", most=self._tokens)
        return {
            name: value.to(self.model.device) if isinstance(value, torch.Tensor) else value
            for name, value in found.items()
        }


Make = Callable[[SentenceTransformer, Sequence[str], SelfSupervisedConfig, int], Objective]
"""Makes an objective of an encoder, all texts, the settings, and the most tokens of a text."""


def word_vectors(model: SentenceTransformer, name: str) -> torch.nn.Embedding:
    """Return the table of an encoder that turns tokens into vectors under context.

    Raises:
        TrainerError: the encoder has no layers above such a table.

    """
    inner = getattr(model[0], "model", None)
    found = getattr(inner, "get_input_embeddings", lambda: None)()
    if not isinstance(found, torch.nn.Embedding):
        raise TrainerError(
            f"{name} teaches the layers of a transformer, and this encoder has none;"
            " nothing was trained",
            next_step="leave fit.self_supervised out: pairs of the documents teach it alone",
        )
    return found
