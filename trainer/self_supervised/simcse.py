"""A text finds itself among others, under another dropout (Gao et al. 2021)."""

from collections.abc import Sequence

import torch
from sentence_transformers import SentenceTransformer

from desireline.trainer.errors import TrainerError
from desireline.trainer.losses.embedding import embed
from desireline.trainer.self_supervised.base import Objective, word_vectors
from desireline.trainer.self_supervised_config import SelfSupervisedConfig


class SimCse(Objective):
    """Encodes each text twice; dropout makes the two vectors differ, and nothing else."""

    def __init__(
        self,
        model: SentenceTransformer,
        texts: Sequence[str],  # noqa: ARG002 - as every objective is made
        config: SelfSupervisedConfig,
        tokens: int,
    ) -> None:
        super().__init__(model, tokens)
        word_vectors(model, "simcse")
        if not any(each.p for each in model.modules() if isinstance(each, torch.nn.Dropout)):
            raise TrainerError(
                "simcse needs an encoder with dropout, and this one has none; nothing was trained",
                next_step='take fit.self_supervised.objective = "tsdae"',
            )
        self._scale = config.scale

    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the cross entropy of each text's finding its other vector."""
        features = self.features(texts)
        first, second = (
            torch.nn.functional.normalize(embed(self.model, dict(features)).float())
            for _ in range(2)
        )
        found = self._scale * first @ second.T
        return torch.nn.functional.cross_entropy(
            found, torch.arange(len(texts), device=found.device)
        )
