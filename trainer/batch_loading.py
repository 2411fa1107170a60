"""Rows of a batch become tokens: anchors one a row, passages once each."""

from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.sampler import DefaultBatchSampler
from torch.utils.data import SequentialSampler

from desireline.trainer.jobs import FitConfig
from desireline.trainer.lessons import Indices, Lessons


class Schedule(DefaultBatchSampler):
    """Hands the drawn batches to the trainer's loader, once and in order."""

    def __init__(self, dataset: Dataset, batches: list[Indices]) -> None:
        super().__init__(SequentialSampler(dataset), batch_size=1, drop_last=False)
        self._batches = batches

    def __iter__(self) -> Any:
        return (batch.tolist() for batch in self._batches)

    def __len__(self) -> int:
        return len(self._batches)


class Collator:
    """Tokenises the anchors of a batch, and each of its passages once."""

    def __init__(self, model: SentenceTransformer, lessons: Lessons, config: FitConfig) -> None:
        self.valid_label_columns = ["label"]
        self._model = model
        self._lessons = lessons
        self._config = config

    def __call__(self, rows: list[dict[str, int]]) -> dict[str, Any]:
        """Give the tokens that `Loss` reads, and the rows as labels."""
        numbers = [row["label"] for row in rows]
        passages = self._lessons.passages_of(numbers)
        batch: dict[str, Any] = {"label": torch.tensor(numbers)}
        anchors = [self._lessons.anchors[number] for number in numbers]
        texts = [self._lessons.passages[number].text for number in passages]
        for name, part, most in (
            ("query", anchors, self._config.query_tokens),
            ("document", texts, self._config.document_tokens),
        ):
            for key, value in tokenise(self._model, part, task=name, most=most).items():
                batch[f"{name}_{key}"] = value
        return batch


def tokenise(
    model: SentenceTransformer, texts: list[str], *, task: str, most: int
) -> dict[str, Any]:
    """Give the model's own tokens, with its own prompt for queries or documents."""
    found: dict[str, Any] = model.preprocess(
        texts, prompt=model.prompts.get(task) or None, task=task, max_length=most
    )
    return found
