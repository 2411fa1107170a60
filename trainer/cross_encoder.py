"""A cross-encoder reads a query and a document together and says how right it is; torch here."""

from collections.abc import Callable

import torch
from transformers import AutoModelForSequenceClassification

from desireline.trainer.jobs import RerankJob
from desireline.trainer.local_models import load_local

_AT_ONCE = 64

Progress = Callable[[int, int], None]
"""Told after every batch: pairs done, pairs in all."""


def rerank(job: RerankJob, progress: Progress | None = None) -> list[float]:
    """Return P(right) of each pair, in the order of the pairs.

    A model with one output is read through a sigmoid, one with several through a softmax whose
    last class is "right".

    Raises:
        UnsafeModelError: the folder holds no model that can be loaded without running its code.

    """
    tokenizer, model = load_local(job.folder, AutoModelForSequenceClassification, "cross-encoder")
    found: list[float] = []
    for start in range(0, len(job.pairs), _AT_ONCE):
        some = job.pairs[start : start + _AT_ONCE]
        tokens = tokenizer(
            [query for query, _ in some],
            [text for _, text in some],
            padding=True,
            truncation="only_second",
            max_length=job.tokens,
            return_tensors="pt",
        )
        with torch.no_grad():
            logits = model(**tokens).logits
        one = logits.shape[1] == 1
        right = torch.sigmoid(logits[:, 0]) if one else torch.softmax(logits, dim=1)[:, -1]
        found += [float(each) for each in right]
        if progress:
            progress(len(found), len(job.pairs))
    return found
