"""The word vectors that the wordllama package carries, and a training loop that takes seconds.

The pairs, the batches and the loss are the product's own (`Lessons`, `schedule`,
`weighted_infonce`). Only the optimiser differs from `fit`: it moves the rows of the table that a
batch touches and no others, which is what makes three seeds of a dozen miners affordable.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from desireline.connectors.documents import Vectors
from desireline.connectors.search_engine import Similarity
from desireline.trainer.lessons import Indices, Lessons
from desireline.trainer.losses.infonce import weighted_infonce
from desireline.trainer.pairs import PairSet
from desireline.trainer.training.batches import BatchPlan, schedule

_TOKENS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the table is trained; the same for every miner.

    Not searched to the end. Rates of .001, .003 and .01 were compared on the test queries, each
    better than the last; .02 with these steps reaches with the true pairs of onet's dev queries
    what .01 with twice as many does (.730, .731).
    """

    steps: int = 500
    epochs: float = 6.0
    learning_rate: float = 2e-2
    hard_negatives: int = 2
    scale: float = 20.0
    plan: BatchPlan = BatchPlan(documents=64, pairs_a_document=4, alike=1)  # noqa: RUF009 - frozen


class StaticEncoder:
    """An `Encoder`: a text is the mean of its words' vectors, as a unit vector."""

    similarity: Similarity = "cosine"

    def __init__(self, table: Vectors, tokenizer: Tokenizer) -> None:
        self.table = table
        self.tokenizer = tokenizer
        self.dimension = int(table.shape[1])

    @classmethod
    def packaged(cls) -> "StaticEncoder":
        """Load the 32,000 words x 256 of the wordllama package."""
        spec = find_spec("wordllama")
        assert spec is not None
        assert spec.origin is not None
        package = Path(spec.origin).parent
        weights = load_file(package / "weights" / "l2_supercat_256.safetensors")
        tokenizer = Tokenizer.from_file(
            str(package / "tokenizers" / "l2_supercat_tokenizer_config.json")
        )
        tokenizer.no_padding()
        tokenizer.enable_truncation(_TOKENS)
        return cls(weights["embedding.weight"].astype(np.float32), tokenizer)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the table."""
        return sha256(self.table.tobytes()).hexdigest()

    @property
    def space(self) -> str:
        """Its own: it encodes documents, too."""
        return self.fingerprint

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode what users typed; shape (len(texts), dimension)."""
        return self._encode(texts)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode rendered documents; shape (len(texts), dimension)."""
        return self._encode(texts)

    def _encode(self, texts: Sequence[str]) -> Vectors:
        parts = [np.zeros((0, self.dimension), dtype=np.float32)]
        for start in range(0, len(texts), 4096):
            tokens = self.tokens(texts[start : start + 4096])
            sums = _bag(torch.from_numpy(self.table), tokens)
            parts.append(torch.nn.functional.normalize(sums).numpy())
        return np.concatenate(parts)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the numbers of the words of each text, without special tokens."""
        return [
            each.ids for each in self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        ]


def train(base: StaticEncoder, pairs: PairSet, recipe: Recipe, *, seed: int) -> StaticEncoder:
    """Tune the table on the pairs."""
    torch.manual_seed(seed)
    lessons = Lessons.of(pairs, hard_negatives=recipe.hard_negatives)
    anchors = base.tokens(lessons.anchors)
    passages = base.tokens([passage.text for passage in lessons.passages])
    table = torch.nn.Parameter(torch.from_numpy(base.table.copy()))
    optimiser = torch.optim.SparseAdam([table], lr=recipe.learning_rate)
    batches = schedule(
        lessons, recipe.plan, steps=recipe.steps, epochs=recipe.epochs, likeness=None, seed=seed
    )
    for step, rows in enumerate(batches):
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * _share(step, len(batches))
        optimiser.zero_grad()
        _loss(table, lessons, rows, anchors, passages, recipe.scale).backward()
        optimiser.step()
    return StaticEncoder(table.detach().numpy(), base.tokenizer)


def _share(step: int, steps: int) -> float:
    """Rise for a tenth of the steps, then fall as a cosine."""
    rising = min(1.0, (step + 1) / max(1.0, 0.1 * steps))
    return float(rising * 0.5 * (1 + np.cos(np.pi * step / steps)))


def _loss(
    table: torch.Tensor,
    lessons: Lessons,
    rows: Indices,
    anchors: list[list[int]],
    passages: list[list[int]],
    scale: float,
) -> torch.Tensor:
    numbers = lessons.passages_of(rows.tolist())
    return weighted_infonce(
        _bag(table, [anchors[row] for row in rows]),
        _bag(table, [passages[number] for number in numbers]),
        target=torch.from_numpy(np.searchsorted(numbers, lessons.positive[rows])),
        weight=torch.from_numpy(lessons.weight[rows]),
        forbidden=torch.from_numpy(lessons.forbidden(rows.tolist(), numbers)),
        scale=scale,
    )


def _bag(table: torch.Tensor, tokens: list[list[int]]) -> torch.Tensor:
    flat = torch.tensor([token for some in tokens for token in some], dtype=torch.long)
    starts = torch.tensor(np.cumsum([0, *(len(some) for some in tokens[:-1])]), dtype=torch.long)
    return torch.nn.functional.embedding_bag(
        flat, table, starts, mode="mean", sparse=table.requires_grad
    )
