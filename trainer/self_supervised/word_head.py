"""Which word stands where, told by the encoder's own word vectors."""

from collections.abc import Sequence

import torch
from sentence_transformers import SentenceTransformer

from desireline.trainer.training.batch_loading import tokenise

#: Words that are in none of the first texts are never asked for.
_MOST_TEXTS = 50_000
_AT_ONCE = 1_024
_LEFT_OUT = -100
_UNSURE = 0.3


class WordHead(torch.nn.Module):
    """Tells a token from a state of the same length as a word vector.

    Only tokens that the texts hold can be told: a catalogue has some thousand of them, a
    tokenizer thirty thousand, and most of the time would go into the others.
    """

    known: torch.Tensor
    column: torch.Tensor

    def __init__(
        self,
        model: SentenceTransformer,
        table: torch.nn.Embedding,
        texts: Sequence[str],
        tokens: int,
    ) -> None:
        super().__init__()
        known = _tokens_of(model, texts, tokens)
        column = torch.full((table.num_embeddings,), _LEFT_OUT)
        column[known] = torch.arange(len(known))
        self.register_buffer("known", known, persistent=False)
        self.register_buffer("column", column, persistent=False)
        length = table.embedding_dim
        self.change = torch.nn.Linear(length, length)
        torch.nn.init.eye_(self.change.weight)
        torch.nn.init.zeros_(self.change.bias)
        self.norm = torch.nn.LayerNorm(length)
        # Small states know nothing yet: a sure guess that is wrong would shake the encoder.
        torch.nn.init.constant_(self.norm.weight, _UNSURE)
        self.bias = torch.nn.Parameter(torch.zeros(len(known)))
        self.to(table.weight.device)

    def forward(
        self, states: torch.Tensor, tokens: torch.Tensor, table: torch.nn.Embedding
    ) -> torch.Tensor:
        """Return the cross entropy of telling tokens by states.

        Args:
            states: shape (places, length).
            tokens: shape (places,).
            table: the encoder's word vectors.

        """
        told: torch.Tensor = self.norm(self.change(states)) @ table.weight[self.known].T + self.bias
        wanted = self.column[tokens]
        if not bool((wanted != _LEFT_OUT).any()):
            return told.sum() * 0.0
        return torch.nn.functional.cross_entropy(told.float(), wanted, ignore_index=_LEFT_OUT)


def _tokens_of(model: SentenceTransformer, texts: Sequence[str], most: int) -> torch.Tensor:
    """Return the tokens of the first texts, each once and in ascending order."""
    found = [
        torch.unique(
            tokenise(model, texts[start : start + _AT_ONCE], task="document", most=most)[
                "input_ids"
            ]
        )
        for start in range(0, min(len(texts), _MOST_TEXTS), _AT_ONCE)
    ]
    distinct: torch.Tensor = torch.unique(torch.cat(found))
    return distinct
