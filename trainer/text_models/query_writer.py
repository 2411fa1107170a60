"""A local sequence-to-sequence model writes queries for documents; torch lives here."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSeq2SeqLM, set_seed

from desireline.trainer.jobs import WriteQueriesJob
from desireline.trainer.text_models.local_models import fingerprint_of, load_local

_AT_ONCE = 16

Progress = Callable[[int, int], None]
"""Told after every batch: documents done, documents in all."""


class LocalQueryWriter:
    """Writes queries with a model that is loaded once.

    What it writes for some texts depends on these texts and the seed alone, not on what was
    written before: a run that was killed goes on as if nothing had been.
    """

    def __init__(self, folder: Path, *, prompt: str = "", seed: int = 0) -> None:
        """Load the model.

        Raises:
            UnsafeModelError: the folder holds no model that can be loaded without running its code.

        """
        what = "sequence-to-sequence model"
        self._tokenizer, self._model = load_local(folder, AutoModelForSeq2SeqLM, what)
        self._folder, self._prompt, self._seed = folder, prompt, seed

    @cached_property
    def fingerprint(self) -> str:
        """Names all that decides what it writes."""
        told = f"{fingerprint_of(self._folder)} {self._prompt} {self._seed}"
        return sha256(told.encode()).hexdigest()

    def __call__(self, texts: Sequence[str], most: int) -> list[list[str]]:
        """Return up to `most` queries for each text."""
        job = WriteQueriesJob(
            folder=self._folder, texts=tuple(texts), most=most, prompt=self._prompt
        )
        salted = sha256(repr((self._seed, most, job.texts)).encode("utf-8", "surrogatepass"))
        written: list[list[str]] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int.from_bytes(salted.digest()[:7]))
            for batch in _batches(job.texts):
                written += _write(job, self._tokenizer, self._model, batch)
        return written


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
