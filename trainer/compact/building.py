"""An untrained compact encoder: a table of word vectors, and whether what it becomes is small."""

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding

from desireline.connectors.documents import Vectors
from desireline.trainer.compact.deepening import parameters_of_layers
from desireline.trainer.compact.vocabulary import Vocabulary
from desireline.trainer.errors import TrainerError
from desireline.trainer.jobs import MOST_PARAMETERS, SmallConfig

#: Numbers of a word vector spread so far: what an optimiser at these rates moves well.
_SPREAD = 0.05


def build(
    vocabulary: Vocabulary, config: SmallConfig, *, dimension: int, words: Vectors | None
) -> SentenceTransformer:
    """Make the table that both kinds begin with, its words a teacher's where there is one.

    Raises:
        TrainerError: the encoder of the configured kind would have more parameters than a compact
            one has.

    """
    parameters = len(vocabulary.tokens) * dimension
    if config.kind == "transformer":
        parameters = parameters_of_layers(config, len(vocabulary.tokens), dimension)
    if parameters >= MOST_PARAMETERS:
        raise TrainerError(
            f"a compact encoder of kind {config.kind} would have {parameters:,} parameters, and"
            f" fewer than {MOST_PARAMETERS:,} are allowed; nothing was trained",
            next_step="lower fit.small.vocabulary, fit.small.width, fit.small.layers or"
            " fit.small.dimension",
        )
    table = (
        _of_teacher(words)
        if words is not None
        else _SPREAD * torch.randn(len(vocabulary.tokens), dimension)
    )
    short = dimension - table.shape[1]
    if short > 0:
        table = torch.nn.functional.pad(table, (0, short))
    module = StaticEmbedding(vocabulary.tokenizer(special=False), embedding_weights=table.numpy())
    return SentenceTransformer(modules=[module, Normalize()], device="cpu")


def _of_teacher(words: Vectors) -> torch.Tensor:
    numbers = torch.from_numpy(words)
    return numbers * (_SPREAD / numbers.std())
