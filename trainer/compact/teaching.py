"""The loss of a compact encoder: right answers, a teacher's vectors, categories, masked words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from desireline.connectors.documents import Vectors
from desireline.trainer.compact.meaning import CategoryLoss, Meant
from desireline.trainer.lessons import Lessons
from desireline.trainer.losses.base import Features
from desireline.trainer.losses.embedding import embed
from desireline.trainer.losses.infonce import weighted_infonce
from desireline.trainer.losses.rows import Rows
from desireline.trainer.losses.vectors import LossMaker

_IDS, _MASK = "input_ids", "attention_mask"
#: Cosines are multiplied by this before a softmax: 1 / temperature.
_SCALE = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """What each part of the loss counts; 0 leaves it out."""

    answers: float = 1.0
    #: Nearness of each vector to the teacher's.
    vectors: float = 0.0
    #: The teacher's order of a batch's passages for each query.
    order: float = 0.0
    masked: float = 0.0
    #: The categories that queries mean.
    meant: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """A teacher's unit vectors, by text."""

    queries: Mapping[str, Vectors]
    documents: Mapping[str, Vectors]


class CompactLoss(torch.nn.Module):
    """A weighted sum of what `Shares` names, over one batch.

    Order is distilled as the distance of two softmaxes over the passages of the batch, and needs
    no common space; vectors are compared as cosines, after a projection where their length
    differs from the teacher's.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        lessons: Lessons,
        shares: Shares,
        taught: Taught | None,
        meant: Meant | None,
    ) -> None:
        super().__init__()
        self.model = model
        self.lessons = lessons
        self._shares = shares
        dimension = int(model.get_embedding_dimension() or 0)
        self._anchors = self._passages = None
        self.projection: torch.nn.Module = torch.nn.Identity()
        if taught is not None:
            self._anchors = _rows(taught.queries, lessons.anchors)
            self._passages = _rows(taught.documents, [each.text for each in lessons.passages])
            length = self._anchors.shape[1]
            if length != dimension and shares.vectors:
                self.projection = torch.nn.Linear(dimension, length, bias=False)
        self.masked = MaskedWords(model) if shares.masked else None
        told = meant if shares.meant else None
        self.meant = CategoryLoss(dimension, told, lessons.anchors) if told else None

    def forward(self, features: list[Features], labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of one batch; see `Loss`."""
        anchors, passages = (embed(self.model, part).float() for part in features)
        rows = Rows.of(self.lessons, labels.tolist(), anchors.device)
        total = anchors.new_zeros(())
        if self._shares.answers:
            total = total + self._shares.answers * weighted_infonce(
                anchors,
                passages,
                target=rows.target,
                weight=rows.weight,
                forbidden=rows.forbidden,
                scale=_SCALE,
                score=rows.score,
            )
        total = total + self._of_teacher(anchors, passages, rows)
        if self.meant is not None:
            total = total + self._shares.meant * self.meant(anchors, rows)
        if self.masked is not None:
            total = total + self._shares.masked * self.masked(features[1])
        return total

    def _of_teacher(
        self, anchors: torch.Tensor, passages: torch.Tensor, rows: Rows
    ) -> torch.Tensor:
        if self._anchors is None or self._passages is None:
            return anchors.new_zeros(())
        queries = self._anchors[list(rows.numbers)].to(anchors.device)
        documents = self._passages[torch.from_numpy(rows.passages)].to(anchors.device)
        total = anchors.new_zeros(())
        if self._shares.vectors:
            near = _cosines(self.projection(anchors), queries).mean()
            near = near + _cosines(self.projection(passages), documents).mean()
            total = total + self._shares.vectors * (2 - near)
        if self._shares.order:
            ours = _SCALE * _unit(anchors) @ _unit(passages).T
            theirs = _SCALE * queries @ documents.T
            total = total + self._shares.order * torch.nn.functional.kl_div(
                ours.log_softmax(dim=1),
                theirs.log_softmax(dim=1),
                log_target=True,
                reduction="batchmean",
            )
        return total


class MaskedWords(torch.nn.Module):
    """Masked words are told from those around them (Devlin et al. 2019); seven of a batch."""

    def __init__(self, model: SentenceTransformer, *, share: float = 0.15) -> None:
        super().__init__()
        trunk: Any = model[0]
        self._trunk = [trunk]
        self._share = share
        self._words = trunk.model.get_input_embeddings()
        width = self._words.weight.shape[1]
        self._mask = int(trunk.tokenizer.mask_token_id)
        self._special = torch.tensor(sorted(trunk.tokenizer.all_special_ids))
        self.head = torch.nn.Sequential(
            torch.nn.Linear(width, width), torch.nn.GELU(), torch.nn.LayerNorm(width)
        )

    def forward(self, features: Features) -> torch.Tensor:
        """Return the cross entropy of the masked words of some texts."""
        ids = features[_IDS]
        open_to = features[_MASK].bool() & ~torch.isin(ids, self._special.to(ids.device))
        drawn = torch.rand(ids.shape).to(ids.device) < self._share
        chosen = open_to & drawn
        if not bool(chosen.any()):
            return torch.zeros((), device=ids.device)
        hidden = self._trunk[0](features | {_IDS: ids.masked_fill(chosen, self._mask)})
        told = self.head(hidden["token_embeddings"][chosen].float())
        words: torch.Tensor = self._words.weight
        return _cross_entropy(told @ words.T, ids[chosen])


def loss_maker(shares: Shares, taught: Taught | None, meant: Meant | None = None) -> LossMaker:
    """Return what makes the loss of a stage, whatever loss the configuration names."""

    def make(
        name: str,  # noqa: ARG001 - the stage decides
        model: torch.nn.Module,
        lessons: Lessons,
        settings: Mapping[str, object],  # noqa: ARG001
    ) -> torch.nn.Module:
        assert isinstance(model, SentenceTransformer), "compact encoders are"
        return CompactLoss(model, lessons, shares, taught, meant)

    return make


def _rows(known: Mapping[str, Vectors], texts: list[str] | tuple[str, ...]) -> torch.Tensor:
    return torch.from_numpy(np.stack([known[text] for text in texts]))


def _cross_entropy(scores: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    lost: torch.Tensor = torch.nn.functional.cross_entropy(scores, right)
    return lost


def _cosines(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cosine_similarity(left, right, dim=1)


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(vectors)
