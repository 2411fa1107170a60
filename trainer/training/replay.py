"""General texts keep their vectors while pairs teach.

A frozen copy's vectors of texts that are foreign to the target are what the encoder in training is
to make of them, too: replay by distillation of oneself (Li and Hoiem 2016, Learning without
Forgetting). It needs texts, and nobody's pairs.
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from desireline.trainer.errors import NothingToLearnError
from desireline.trainer.jobs import FitConfig
from desireline.trainer.lessons import Lessons
from desireline.trainer.losses.base import Features
from desireline.trainer.losses.embedding import embed
from desireline.trainer.query_text import normalise
from desireline.trainer.training.batch_loading import KnownTokens

#: More would take longer to encode before the first step than they help after it.
_MOST_TEXTS = 5_000
_AT_ONCE = 64


def with_replay(
    loss: torch.nn.Module, model: SentenceTransformer, lessons: Lessons, config: FitConfig
) -> torch.nn.Module:
    """Return the loss, with replay beside it where `config.replay` says so.

    Raises:
        NothingToLearnError: the texts cannot be read, or all of them are the target's own.

    """
    if not config.replay:
        return loss
    own = {normalise(anchor) for anchor in lessons.anchors}
    own |= {normalise(passage.text) for passage in lessons.passages}
    texts = [text for text in replay_texts(config.replay_texts) if normalise(text) not in own]
    if not texts:
        raise NothingToLearnError(
            "every replay text is one of the target's own; nothing was trained",
            next_step="name other texts in fit.replay_texts, or set fit.replay = 0",
        )
    drawn = np.random.default_rng(config.seed).permutation(len(texts))[:_MOST_TEXTS]
    return Replayed(loss, model, [texts[row] for row in sorted(drawn)], config)


def replay_texts(path: Path | None) -> tuple[str, ...]:
    """Read texts, one a line, each once; those that ship where no file is named.

    Raises:
        NothingToLearnError: the file cannot be read, or holds no text.

    """
    file = files("desireline.trainer.general").joinpath("replay.txt") if path is None else path
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NothingToLearnError(
            f"the replay texts in {path} cannot be read: {error}; nothing was trained",
            next_step="name a text file in fit.replay_texts, or leave it out",
        ) from error
    texts = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not texts:
        raise NothingToLearnError(
            f"the replay texts in {path} are none; nothing was trained",
            next_step="write one text a line, or leave fit.replay_texts out",
        )
    return texts


class Replayed(torch.nn.Module):
    """A loss, and beside it how far general texts are from where they were.

    Which texts a step draws comes from torch's own generator: a resumed training draws on.
    """

    def __init__(
        self,
        loss: torch.nn.Module,
        model: SentenceTransformer,
        texts: Sequence[str],
        config: FitConfig,
    ) -> None:
        super().__init__()
        self.loss = loss
        self.model = model
        self._tokens = KnownTokens(model, texts, task="document", most=config.document_tokens)
        self._each_step = min(len(texts), max(1, round(config.replay * config.batch_documents)))
        self._weight = config.replay_weight
        self._before = self._encoded(len(texts))

    def forward(self, features: list[Features], labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of one batch and, weighted, one minus the mean cosine of some texts."""
        loss: torch.Tensor = self.loss(features, labels)
        return loss + self._weight * self.moved()

    def moved(self) -> torch.Tensor:
        """Return how far some texts, drawn by chance, are from where they were."""
        rows = torch.randperm(len(self._before))[: self._each_step]
        now = self._embed(rows.tolist())
        return 1 - (now * self._before[rows.to(self._before.device)]).sum(dim=1).mean()

    def _encoded(self, count: int) -> torch.Tensor:
        was_training = self.model.training
        self.model.eval()
        with torch.no_grad():
            parts = [
                self._embed(list(range(start, min(start + _AT_ONCE, count))))
                for start in range(0, count, _AT_ONCE)
            ]
        self.model.train(was_training)
        return torch.cat(parts)

    def _embed(self, rows: list[int]) -> torch.Tensor:
        """Return unit vectors of some texts, shape (rows, dimension)."""
        features: dict[str, Any] = {
            name: value.to(self.model.device) if isinstance(value, torch.Tensor) else value
            for name, value in self._tokens.of(rows).items()
        }
        return torch.nn.functional.normalize(embed(self.model, features).float())
