"""A decoder rebuilds a text from the vector of some of its words (Wang et al. 2021, TSDAE).

Theirs is as deep as the encoder and shares its layers. Ours is one causal layer over the encoder's
own word vectors: a weak decoder can lean on little but the vector (Xiao et al. 2022, RetroMAE),
and costs a sixth.
"""

from collections.abc import Sequence

import torch
from sentence_transformers import SentenceTransformer

from desireline.trainer.losses.embedding import embed
from desireline.trainer.self_supervised.base import Objective, word_vectors
from desireline.trainer.self_supervised.word_head import WordHead
from desireline.trainer.self_supervised_config import SelfSupervisedConfig

_WIDTH_OF_A_HEAD = 64


class Tsdae(Objective):
    """Encodes what is left of a text, and asks the decoder for all of it, word after word."""

    def __init__(
        self,
        model: SentenceTransformer,
        texts: Sequence[str],
        config: SelfSupervisedConfig,
        tokens: int,
    ) -> None:
        super().__init__(model, tokens)
        table = word_vectors(model, "tsdae")
        self.head = WordHead(model, table, texts, tokens)
        self.decoder = _Decoder(table, int(model.get_embedding_dimension() or 0), tokens)
        self._deleted = config.deleted

    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the cross entropy of the words of the whole texts."""
        left = [shortened(text, self._deleted) for text in texts]
        vectors = embed(self.model, self.features(left))
        whole = self.features(texts)
        tokens, there = whole["input_ids"], whole["attention_mask"].bool()
        table = word_vectors(self.model, "tsdae")
        states = self.decoder(table(tokens[:, :-1]), vectors)
        told = there[:, 1:]
        return self.head(states[told], tokens[:, 1:][told], table)  # type: ignore[no-any-return]


class _Decoder(torch.nn.Module):
    """One causal layer.

    Attending to a single vector is adding a linear map of it, so that is what is done.
    """

    def __init__(self, table: torch.nn.Embedding, dimension: int, tokens: int) -> None:
        super().__init__()
        length = table.embedding_dim
        self.of_vector = torch.nn.Linear(dimension, length)
        self.places = torch.nn.Parameter(0.02 * torch.randn(tokens, length))
        self.norm = torch.nn.LayerNorm(length)
        self.layer = torch.nn.TransformerEncoderLayer(
            length,
            max(1, length // _WIDTH_OF_A_HEAD),
            dim_feedforward=2 * length,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
        )
        self.to(table.weight.device)

    def forward(self, words: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Return states, shape (texts, places, length); each sees the words before its own."""
        places = words.shape[1]
        told: torch.Tensor = self.of_vector(vectors).unsqueeze(1)
        states = self.norm(words + self.places[:places] + told)
        later = torch.ones(places, places, device=words.device).triu(1).bool()
        found: torch.Tensor = self.layer(states, src_mask=later)
        return found + told


def shortened(text: str, deleted: float) -> str:
    """Leave each word out by chance; one is left at least."""
    words = text.split()
    if not words:
        return text
    chance = torch.rand(len(words))
    left = [word for word, drawn in zip(words, chance.tolist(), strict=True) if drawn >= deleted]
    return " ".join(left) or words[int(chance.argmax())]
