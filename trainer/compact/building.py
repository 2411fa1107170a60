"""An untrained compact encoder: a small BERT or a table of word vectors, its size checked."""

import tempfile
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Dense,
    Normalize,
    Pooling,
    StaticEmbedding,
    Transformer,
)
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from desireline.connectors.documents import Vectors
from desireline.trainer.compact.teacher import WordVectors
from desireline.trainer.compact.vocabulary import FIRST, LAST, MASK, PAD, UNKNOWN, Vocabulary
from desireline.trainer.errors import TrainerError
from desireline.trainer.jobs import MOST_PARAMETERS, SmallConfig

#: Numbers of a word vector spread so far: what an optimiser at these rates moves well.
_SPREAD = 0.05
_HEAD = 64


def build(
    vocabulary: Vocabulary, config: SmallConfig, *, dimension: int, words: WordVectors | None
) -> SentenceTransformer:
    """Make an encoder of the configured kind, its words a teacher's where there is one.

    Raises:
        TrainerError: it would have more parameters than a compact encoder has.

    """
    if config.kind == "static":
        model = _static(vocabulary, dimension, words)
    else:
        model = _transformer(vocabulary, config, dimension, words)
    parameters = sum(each.numel() for each in model.parameters())
    if parameters >= MOST_PARAMETERS:
        raise TrainerError(
            f"a compact encoder of kind {config.kind} would have {parameters:,} parameters, and"
            f" fewer than {MOST_PARAMETERS:,} are allowed; nothing was trained",
            next_step="lower fit.small.vocabulary, fit.small.width, fit.small.layers or"
            " fit.small.dimension",
        )
    return model


def numbers_of_a_word(config: SmallConfig, dimension: int) -> int:
    """Return how many numbers of a word come from the teacher; see `_of_one_length`."""
    return dimension if config.kind == "static" else config.width - 1


def _static(
    vocabulary: Vocabulary, dimension: int, words: WordVectors | None
) -> SentenceTransformer:
    table = _spread(words.table) if words else _drawn(len(vocabulary.tokens), dimension)
    short = dimension - table.shape[1]
    if short > 0:
        table = torch.nn.functional.pad(table, (0, short))
    module = StaticEmbedding(vocabulary.tokenizer(special=False), embedding_weights=table.numpy())
    return SentenceTransformer(modules=[module, Normalize()], device="cpu")


def _transformer(
    vocabulary: Vocabulary, config: SmallConfig, dimension: int, words: WordVectors | None
) -> SentenceTransformer:
    bert = BertModel(
        BertConfig(
            vocab_size=len(vocabulary.tokens),
            hidden_size=config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=max(1, config.width // _HEAD),
            intermediate_size=4 * config.width,
            max_position_embeddings=config.tokens,
            type_vocab_size=1,
        ),
    )
    _begin_as_mean(bert, _of_one_length(words.table) if words else None)
    fast: Any = PreTrainedTokenizerFast
    tokenizer = fast(
        tokenizer_object=vocabulary.tokenizer(special=True),
        pad_token=PAD,
        unk_token=UNKNOWN,
        cls_token=FIRST,
        sep_token=LAST,
        mask_token=MASK,
        model_max_length=config.tokens,
    )
    with tempfile.TemporaryDirectory(prefix="desireline-compact-") as name:
        bert.save_pretrained(name)
        tokenizer.save_pretrained(name)
        trunk = Transformer(
            name,
            max_seq_length=config.tokens,
            model_kwargs={"attn_implementation": "eager", "local_files_only": True},
        )
    projection = _projection(config.width, dimension, words)
    return SentenceTransformer(
        modules=[trunk, Pooling(config.width, "mean"), projection, Normalize()], device="cpu"
    )


@torch.no_grad()
def _begin_as_mean(bert: BertModel, table: torch.Tensor | None) -> None:
    """Let each layer add nothing at first: the encoder begins as the mean of its word vectors."""
    if table is not None:
        bert.embeddings.word_embeddings.weight.copy_(table)
    bert.embeddings.position_embeddings.weight.zero_()
    bert.embeddings.token_type_embeddings.weight.zero_()
    layers: Any = bert.encoder.layer
    for layer in layers:
        layer.attention.output.dense.weight.zero_()
        layer.output.dense.weight.zero_()


def _projection(width: int, dimension: int, words: WordVectors | None) -> Dense:
    """Lead back into the teacher's space where it is of that length, else keep distances."""
    dense = Dense(width, dimension, bias=False, activation_function=torch.nn.Identity())
    torch.nn.init.orthogonal_(dense.linear.weight)
    if words is not None and words.directions.shape == (width - 1, dimension):
        back = torch.from_numpy(words.directions.T.copy())
        dense.linear.weight.data.copy_(torch.nn.functional.pad(back, (0, 1)))
    return dense


def _of_one_length(table: Vectors) -> torch.Tensor:
    """Give every word vector the same length by one more number, which the projection drops.

    A transformer brings all its word vectors to one length first: without that number a frequent
    word would count as much as a rare one, and a special token, which says nothing, would be
    divided by its own length of zero.
    """
    numbers = _spread(table)
    longest = numbers.norm(dim=1).max()
    missing = (longest**2 - numbers.norm(dim=1) ** 2).clamp(min=0).sqrt()
    return torch.cat([numbers, missing[:, None]], dim=1)


def _spread(table: Vectors) -> torch.Tensor:
    numbers = torch.from_numpy(table)
    return numbers * (_SPREAD / numbers.std())


def _drawn(words: int, width: int) -> torch.Tensor:
    return _SPREAD * torch.randn(words, width)
