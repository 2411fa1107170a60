"""Layers over a trained table of word vectors, which add nothing at first.

So a transformer begins where the table ended, with all that was learned cheaply, and only what a
mean of words cannot say is left to learn: a word by its neighbours, and their order.
"""

import tempfile
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Dense,
    Normalize,
    Pooling,
    Transformer,
)
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from desireline.trainer.compact.vocabulary import FIRST, LAST, MASK, PAD, UNKNOWN, Vocabulary
from desireline.trainer.jobs import SmallConfig

#: Numbers of a word vector spread so far: what an optimiser at these rates moves well.
_SPREAD = 0.05
#: Numbers of an attention head.
_HEAD = 64
#: Inner numbers of a layer for each number of its width: BERT has four, for twice the time.
_INNER = 2
#: Numbers of a word that say nothing: see `_of_one_length`.
_OWN = 2


def deepened(
    table: SentenceTransformer, vocabulary: Vocabulary, config: SmallConfig
) -> SentenceTransformer:
    """Return a transformer that gives the vectors of a table of these words.

    Equal ones, where its width is two numbers more than the table's or greater; else what lies
    along the main directions of the table's words is kept.
    """
    words = _words_of(table, vocabulary)
    directions = _main_directions(words, min(config.width - _OWN, words.shape[1]))
    room = _room(config.width, len(directions))
    bert = BertModel(_bert(config, len(words)))
    _begin(bert, _of_one_length(words @ directions.T) @ room)
    projection = Dense(
        config.width, words.shape[1], bias=False, activation_function=torch.nn.Identity()
    )
    with torch.no_grad():
        projection.linear.weight.copy_(directions.T @ room[:-1])
    made = SentenceTransformer(
        modules=[
            _trunk(bert, vocabulary, config),
            Pooling(config.width, "mean"),
            projection,
            Normalize(),
        ],
        device="cpu",
    )
    made.similarity_fn_name = table.similarity_fn_name
    return made


def parameters_of_layers(config: SmallConfig, words: int, dimension: int) -> int:
    """Return how many parameters such a transformer has, without making it."""
    with torch.device("meta"):
        bert = BertModel(_bert(config, words))
    return sum(each.numel() for each in bert.parameters()) + config.width * dimension


def _bert(config: SmallConfig, words: int) -> BertConfig:
    heads = max(1, config.width // _HEAD)
    while config.width % heads:
        heads -= 1
    return BertConfig(
        vocab_size=words,
        hidden_size=config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=heads,
        intermediate_size=_INNER * config.width,
        max_position_embeddings=config.tokens,
        type_vocab_size=1,
    )


def _trunk(bert: BertModel, vocabulary: Vocabulary, config: SmallConfig) -> Transformer:
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
        trunk: Transformer = Transformer(
            name,
            max_seq_length=config.tokens,
            model_kwargs={"attn_implementation": "eager", "local_files_only": True},
        )
    return trunk


def _words_of(table: SentenceTransformer, vocabulary: Vocabulary) -> torch.Tensor:
    """Return the words' vectors; marks that a table never reads say nothing to begin with."""
    module: Any = table[0]
    words: torch.Tensor = module.embedding.weight.detach().double().clone()
    words[[vocabulary.tokens.index(mark) for mark in (PAD, FIRST, LAST, MASK)]] = 0.0
    return words


@torch.no_grad()
def _begin(bert: BertModel, words: torch.Tensor) -> None:
    """Let each layer add nothing at first: the encoder begins as the mean of its word vectors."""
    bert.embeddings.word_embeddings.weight.copy_(words * (_SPREAD / words.std()))
    bert.embeddings.position_embeddings.weight.zero_()
    bert.embeddings.token_type_embeddings.weight.zero_()
    layers: Any = bert.encoder.layer
    for layer in layers:
        layer.attention.output.dense.weight.zero_()
        layer.output.dense.weight.zero_()


def _main_directions(words: torch.Tensor, count: int) -> torch.Tensor:
    """Return orthonormal rows, those first along which words differ most."""
    if count == words.shape[1]:
        return torch.eye(count, dtype=words.dtype)
    found: torch.Tensor = torch.linalg.eigh(words.T @ words)[1]
    return found.T.flip(0)[:count]


def _room(width: int, count: int) -> torch.Tensor:
    """Return orthonormal rows whose numbers sum to zero, one for each direction and one more.

    A layer begins by taking the mean of a word's numbers off: so that takes nothing.
    """
    drawn = torch.randn(
        (width, count + _OWN), generator=torch.Generator().manual_seed(0), dtype=torch.double
    )
    drawn[:, 0] = 1.0
    square: torch.Tensor = torch.linalg.qr(drawn)[0]
    return square[:, 1:].T


def _of_one_length(words: torch.Tensor) -> torch.Tensor:
    """Give every word vector the same length by one more number, which the projection drops.

    A transformer brings all its word vectors to one length first: without that number a frequent
    word would count as much as a rare one, and a special token, which says nothing, would be
    divided by its own length of zero.
    """
    squares = words.square().sum(dim=1)
    missing = (squares.max() - squares).clamp(min=0).sqrt()
    return torch.cat([words, missing[:, None]], dim=1)
