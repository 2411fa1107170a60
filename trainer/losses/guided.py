"""In-batch softmax that a second encoder keeps from pushing away what may be right."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, Field

from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
from desireline.trainer.lessons import Lessons
from desireline.trainer.losses.infonce import weighted_infonce
from desireline.trainer.losses.rows import Rows
from desireline.trainer.losses.vectors import VectorLoss


class GuidedConfig(BaseModel, frozen=True, extra="forbid"):
    """Who guides, and how much nearer than the positive a false negative must be."""

    kind: Literal["guided"] = "guided"
    scale: float = Field(default=20.0, gt=0)
    #: Folder of the guide; the encoder as it was before training if left out.
    guide: Path | None = None
    margin_strategy: Literal["absolute", "relative"] = "absolute"
    margin: float = 0.0


class Guided(VectorLoss):
    """A passage that the guide finds nearer to the anchor than its positive teaches nothing.

    GISTEmbed (Solatorio 2024), with the masks between anchors and passages only: nothing else
    is a negative here. Above the guide's cosine of the positive less the margin (absolute), or
    times one less the margin (relative), a passage is left out of the row's softmax. The guide
    reads each text once.
    """

    def __init__(
        self, model: torch.nn.Module, lessons: Lessons, settings: Mapping[str, object]
    ) -> None:
        super().__init__(model, lessons)
        self._config = GuidedConfig.model_validate(settings)
        guide = self._config.guide
        frozen = load_sentence_transformer(guide) if guide else copy.deepcopy(model)
        passages = [passage.text for passage in lessons.passages]
        self._anchors = _encoded(frozen, lessons.anchors, "query")
        self._passages = _encoded(frozen, passages, "document")

    def of_vectors(self, anchors: torch.Tensor, passages: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Return the loss of a batch; see `VectorLoss`."""
        suspected = self._nearer_than_the_positive(rows)
        return weighted_infonce(
            anchors,
            passages,
            target=rows.target,
            weight=rows.weight,
            forbidden=rows.forbidden | suspected,
            scale=self._config.scale,
            score=rows.score,
        )

    def _nearer_than_the_positive(self, rows: Rows) -> torch.Tensor:
        guided = self._anchors[list(rows.numbers)] @ self._passages[rows.passages].T
        cosines = torch.from_numpy(guided).to(rows.target.device)
        of_positive = cosines.gather(1, rows.target[:, None])
        margin = self._config.margin
        limit = (
            of_positive - margin
            if self._config.margin_strategy == "absolute"
            else of_positive * (1 - margin)
        )
        return (cosines > limit) & ~rows.is_target


def _encoded(model: Any, texts: Sequence[str], role: str) -> np.ndarray[Any, Any]:
    """Return unit vectors, each distinct text encoded once."""
    distinct = list(dict.fromkeys(texts))
    encode = model.encode_query if role == "query" else model.encode_document
    vectors = encode(distinct, normalize_embeddings=True, show_progress_bar=False)
    place = {text: number for number, text in enumerate(distinct)}
    return np.asarray(vectors, dtype=np.float32)[[place[text] for text in texts]]
