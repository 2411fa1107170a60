"""A cross-encoder reads a query and a document together and says how right it is; torch here."""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification

from desireline.trainer.errors import UnsafeModelError
from desireline.trainer.jobs import RerankJob
from desireline.trainer.text_models.local_models import fingerprint_of, load_local

_AT_ONCE = 64

Progress = Callable[[int, int], None]
"""Told after every batch: pairs done, pairs in all."""


class CrossEncoder:
    """Reads pairs with a model that is loaded once.

    A model with one output says the log-odds that a pair is right. Of one with several outputs,
    the last is "right", and the others together are not.
    """

    def __init__(self, folder: Path, *, tokens: int = 256, device: str = "cpu") -> None:
        """Load the model.

        Raises:
            UnsafeModelError: the folder holds no model that can be loaded without running its code.

        """
        architecture = AutoModelForSequenceClassification
        self._tokenizer, model = load_local(folder, architecture, "cross-encoder")
        self._model = model.to(device)
        self._folder, self._tokens, self._device = folder, tokens, device

    @cached_property
    def fingerprint(self) -> str:
        """Names all that decides a score."""
        return f"{fingerprint_of(self._folder)}-{self._tokens}"

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return the log-odds that each pair is right, in the order of the pairs.

        Pairs of like length are read together, so that little is read that is no text.

        Raises:
            UnsafeModelError: what it says is no number.

        """
        order = sorted(range(len(pairs)), key=lambda at: sum(map(len, pairs[at])))
        found = [0.0] * len(pairs)
        for start in range(0, len(order), _AT_ONCE):
            some = order[start : start + _AT_ONCE]
            for at, score in zip(some, self._read([pairs[at] for at in some]), strict=True):
                found[at] = score
        if not all(map(math.isfinite, found)):
            raise UnsafeModelError(
                f"{self._folder} says of a pair what is no number; nothing was learned from it",
                next_step="name a cross-encoder whose weights are whole",
            )
        return found

    def _read(self, some: Sequence[tuple[str, str]]) -> list[float]:
        tokens = self._tokenizer(
            [query for query, _ in some],
            [text for _, text in some],
            padding=True,
            truncation="only_second",
            max_length=self._tokens,
            return_tensors="pt",
        )
        with torch.no_grad():
            logits = self._model(**tokens.to(self._device)).logits.float()
        right = logits[:, -1]
        if logits.shape[1] > 1:
            right = right - torch.logsumexp(logits[:, :-1], dim=1)
        return [float(each) for each in right]


def rerank(job: RerankJob, progress: Progress | None = None) -> list[float]:
    """Return P(right) of each pair, in the order of the pairs.

    Raises:
        UnsafeModelError: the folder holds no model that can be loaded without running its code.

    """
    read = CrossEncoder(job.folder, tokens=job.tokens)
    found: list[float] = []
    for start in range(0, len(job.pairs), _AT_ONCE):
        logits = read(job.pairs[start : start + _AT_ONCE])
        found += [1 / (1 + math.exp(-max(logit, -500.0))) for logit in logits]
        if progress:
            progress(len(found), len(job.pairs))
    return found
