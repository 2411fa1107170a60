"""Hidden words are guessed from those around them (Devlin et al. 2019)."""

from collections.abc import Sequence
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from desireline.trainer.errors import TrainerError
from desireline.trainer.self_supervised.base import Objective, word_vectors
from desireline.trainer.self_supervised.word_head import WordHead
from desireline.trainer.self_supervised_config import SelfSupervisedConfig

#: Of the tokens to guess: so many are masked, and of the others half are another token.
_MASKED = 0.8


class MaskedWords(Objective):
    """Teaches which words stand together; of the encoder's vector it asks nothing."""

    def __init__(
        self,
        model: SentenceTransformer,
        texts: Sequence[str],
        config: SelfSupervisedConfig,
        tokens: int,
    ) -> None:
        super().__init__(model, tokens)
        self.head = WordHead(model, word_vectors(model, "mlm"), texts, tokens)
        self._hidden = config.hidden
        tokenizer: Any = model.tokenizer
        if tokenizer.mask_token_id is None:
            raise TrainerError(
                "mlm needs a tokenizer with a mask, and this one has none; nothing was trained",
                next_step='take fit.self_supervised.objective = "tsdae"',
            )
        self._mask = int(tokenizer.mask_token_id)
        self._special = torch.tensor(sorted(tokenizer.all_special_ids))

    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the cross entropy of the hidden tokens."""
        features = self.features(texts)
        tokens: torch.Tensor = features["input_ids"]
        words = ~torch.isin(tokens, self._special.to(tokens.device))
        asked = words & (_chance(tokens) < self._hidden)
        if not bool(asked.any()):
            asked = words
        encoded = self.model[0](features | {"input_ids": self._hide(tokens, asked)})
        states = encoded["token_embeddings"][asked]
        return self.head(states, tokens[asked], word_vectors(self.model, "mlm"))  # type: ignore[no-any-return]

    def _hide(self, tokens: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        """Mask most of what is asked, put another token for some, and leave some as it is."""
        chance, rest = _chance(tokens), (1 - _MASKED) / 2
        drawn = torch.randint(len(self.head.known), tokens.shape).to(tokens.device)
        hidden = torch.where(asked & (chance < _MASKED), self._mask, tokens)
        other = asked & (chance >= _MASKED) & (chance < _MASKED + rest)
        return torch.where(other, self.head.known[drawn], hidden)


def _chance(tokens: torch.Tensor) -> torch.Tensor:
    """Draw on the processor: a checkpoint keeps its generator."""
    return torch.rand(tokens.shape).to(tokens.device)
