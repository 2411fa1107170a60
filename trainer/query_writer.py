"""A local sequence-to-sequence model writes queries for documents; torch lives here."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from transformers import AutoModelForSeq2SeqLM, set_seed

from desireline.trainer.jobs import WriteQueriesJob
from desireline.trainer.local_models import load_local

_AT_ONCE = 16

Progress = Callable[[int, int], None]
"""Told after every batch: documents done, documents in all."""


def write_queries(job: WriteQueriesJob, progress: Progress | None = None) -> list[list[str]]:
    """Sample up to `job.most` queries for each text, in the order of the texts.

    The same job writes the same queries on the same machine.

    Raises:
        UnsafeModelError: the folder holds no model that can be loaded without running its code.

    """
    tokenizer, model = load_local(job.folder, AutoModelForSeq2SeqLM, "sequence-to-sequence model")
    set_seed(job.seed)
    written: list[list[str]] = []
    for batch in _batches(job.texts):
        written += _write(job, tokenizer, model, batch)
        if progress:
            progress(len(written), len(job.texts))
    return written


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    return (list(texts[at : at + _AT_ONCE]) for at in range(0, len(texts), _AT_ONCE))


def _write(job: WriteQueriesJob, tokenizer: Any, model: Any, texts: list[str]) -> list[list[str]]:
    tokens = tokenizer(
        [job.prompt + text for text in texts],
        padding=True,
        truncation=True,
        max_length=job.document_tokens,
        return_tensors="pt",
    )
    with torch.no_grad():
        drawn = model.generate(
            input_ids=tokens["input_ids"],
            attention_mask=tokens["attention_mask"],
            max_new_tokens=job.query_tokens,
            do_sample=True,
            top_p=0.95,
            num_return_sequences=job.most,
        )
    said = tokenizer.batch_decode(drawn, skip_special_tokens=True)
    groups = (said[at : at + job.most] for at in range(0, len(said), job.most))
    return [list(dict.fromkeys(text.strip() for text in group if text.strip())) for group in groups]
