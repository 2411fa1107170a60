"""A table of whole words, small enough that hundreds of encoders train and judge in minutes."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
from mining.static_encoder import StaticEncoder
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

DIMENSION = 96
_UNKNOWN = "[UNK]"


def word_table(texts: Iterable[str], *, least: int = 1) -> StaticEncoder:
    """Give every word of the texts the mean of its pieces' packaged vectors, in fewer dimensions.

    A word's vector is scaled down by its frequency (smooth inverse frequency, Arora et al. 2017),
    for a mean of words has no other way to know which of them matter.
    """
    packaged = StaticEncoder.packaged()
    pre = pre_tokenizers.Whitespace()
    counts = Counter(word for text in texts for word, _ in pre.pre_tokenize_str(text.lower()))
    words = sorted(word for word, count in counts.items() if count >= least)
    pieces = packaged.tokens(words)
    table = np.stack(
        [
            packaged.table[ids].mean(axis=0) if ids else np.zeros(packaged.dimension)
            for ids in pieces
        ]
    )
    total = sum(counts.values())
    rare = np.array([1e-3 / (1e-3 + counts[word] / total) for word in words])
    _, _, axes = np.linalg.svd(table[:: max(1, len(words) // 4000)], full_matrices=False)
    reduced = (table @ axes[:DIMENSION].T) * rare[:, None]
    vocabulary = {_UNKNOWN: 0, **{word: row for row, word in enumerate(words, 1)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=_UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre
    return StaticEncoder(
        np.concatenate([np.zeros((1, DIMENSION)), reduced]).astype(np.float32), tokenizer
    )
