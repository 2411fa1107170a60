"""Rows of a batch become tokens: anchors one a row, passages once each.

A text is tokenised the first time a batch holds it, and only padded after that.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from desireline.trainer.jobs import FitConfig
from desireline.trainer.lessons import Lessons
from desireline.trainer.losses.embedding import LENGTHS, lengths_of

Tokens = NDArray[np.int32]

_MASK, _IDS, _STARTS = "attention_mask", "input_ids", "offsets"
#: Texts kept, of about 200 bytes each; the others are tokenised every time.
_MOST_KEPT = 500_000


class Collator:
    """Gives the tokens of the anchors of a batch, and of each of its passages once."""

    def __init__(self, model: SentenceTransformer, lessons: Lessons, config: FitConfig) -> None:
        self._lessons = lessons
        self._anchors = KnownTokens(model, lessons.anchors, task="query", most=config.query_tokens)
        self._passages = KnownTokens(
            model,
            [passage.text for passage in lessons.passages],
            task="document",
            most=config.document_tokens,
        )

    def __call__(self, rows: list[dict[str, int]]) -> dict[str, Any]:
        """Give the tokens that `Loss` reads, and the rows as labels."""
        numbers = [row["label"] for row in rows]
        batch: dict[str, Any] = {"label": torch.tensor(numbers)}
        anchors = self._anchors.of(numbers)
        passages = self._passages.of(self._lessons.passages_of(numbers).tolist())
        for name, features in (("query", anchors), ("document", passages)):
            batch |= {f"{name}_{key}": value for key, value in features.items()}
            lengths = lengths_of(features.get(_MASK))
            if lengths is not None:
                batch[f"{name}_{LENGTHS}"] = lengths
        return batch


class KnownTokens:
    """The features that a model's `preprocess` gives, of texts that are known by number.

    Two forms are known: texts x tokens, padded on the right, and all tokens in a row with the
    start of each text. Features of any other form are made anew for every batch.
    """

    def __init__(
        self, model: SentenceTransformer, texts: Sequence[str], *, task: str, most: int
    ) -> None:
        self._model = model
        self._texts = texts
        self._task = task
        self._most = most
        self._kept: dict[int, Tokens] = {}
        self._columns: tuple[str, ...] = ()
        self._padding: dict[str, int] = {}
        self._beside: dict[str, Any] = {}
        self._known_form = True

    def of(self, numbers: Sequence[int]) -> dict[str, Any]:
        """Return the features of some texts, equal to those of `tokenise`."""
        missing = [number for number in dict.fromkeys(numbers) if number not in self._kept]
        if missing and self._known_form:
            self._learn(missing)
        if not self._known_form or any(number not in self._kept for number in numbers):
            return self._fresh(numbers)
        rows = [self._kept[number] for number in numbers]
        found = self._in_a_row(rows) if _STARTS in self._padding else self._padded(rows)
        return found | self._beside

    def _fresh(self, numbers: Sequence[int]) -> dict[str, Any]:
        texts = [self._texts[number] for number in numbers]
        return tokenise(self._model, texts, task=self._task, most=self._most)

    def _learn(self, numbers: list[int]) -> None:
        """Keep the tokens of some texts, as long as there is room."""
        room = max(0, _MOST_KEPT - len(self._kept))
        if not room:
            return
        features = self._fresh(numbers[:room])
        tensors = {key: each for key, each in features.items() if isinstance(each, torch.Tensor)}
        rows = _rows(tensors)
        self._known_form = rows is not None
        if rows is None:
            return
        self._columns = tuple(key for key in tensors if key not in {_MASK, _STARTS})
        self._beside = {key: each for key, each in features.items() if key not in tensors}
        self._padding = {key: self._padding_of(key) for key in tensors}
        self._kept |= dict(zip(numbers, rows, strict=False))

    def _padding_of(self, key: str) -> int:
        names = {_IDS: "pad_token_id", "token_type_ids": "pad_token_type_id"}
        tokenizer: Any = self._model.tokenizer
        return int(getattr(tokenizer, names.get(key, ""), 0) or 0)

    def _padded(self, rows: list[Tokens]) -> dict[str, torch.Tensor]:
        lengths = np.array([row.shape[1] for row in rows])
        mask = np.arange(lengths.max()) < lengths[:, None]
        found = {_MASK: torch.from_numpy(mask.astype(np.int64))}
        joined = np.concatenate(rows, axis=1)
        for column, key in enumerate(self._columns):
            values = np.full(mask.shape, self._padding[key], dtype=np.int64)
            values[mask] = joined[column]
            found[key] = torch.from_numpy(values)
        return found

    def _in_a_row(self, rows: list[Tokens]) -> dict[str, torch.Tensor]:
        starts = np.cumsum([0, *(row.shape[1] for row in rows[:-1])])
        joined = np.concatenate(rows, axis=1)[0].astype(np.int64)
        return {_IDS: torch.from_numpy(joined), _STARTS: torch.from_numpy(starts)}


def tokenise(
    model: SentenceTransformer, texts: Sequence[str], *, task: str, most: int
) -> dict[str, Any]:
    """Give the model's own tokens, with its own prompt for queries or documents."""
    found: dict[str, Any] = model.preprocess(
        list(texts), prompt=model.prompts.get(task) or None, task=task, max_length=most
    )
    return found


def _rows(tensors: dict[str, torch.Tensor]) -> list[Tokens] | None:
    """Cut features into texts, each of shape (columns, tokens); None if their form is unknown."""
    if tensors.keys() == {_IDS, _STARTS} and tensors[_IDS].dim() == 1:
        ids = tensors[_IDS].numpy().astype(np.int32)[None]
        return [part.copy() for part in np.split(ids, tensors[_STARTS].numpy()[1:], axis=1)]
    mask = tensors.get(_MASK)
    if mask is None or any(each.shape != mask.shape for each in tensors.values()):
        return None
    lengths = mask.sum(dim=1)
    if bool((mask != (torch.arange(mask.shape[1]) < lengths[:, None])).any()):
        return None
    columns = [each.numpy().astype(np.int32) for key, each in tensors.items() if key != _MASK]
    whole = np.stack(columns, axis=1)
    return [row[:, :length].copy() for row, length in zip(whole, lengths.tolist(), strict=True)]
