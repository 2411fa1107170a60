"""The losses of pytorch-metric-learning by their names, with weights and related documents."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import BaseModel
from pytorch_metric_learning import losses

from desireline.connectors import plugins
from desireline.trainer.errors import LossError
from desireline.trainer.lessons import Lessons
from desireline.trainer.losses.in_batch import (
    InBatchMiner,
    check_kinds,
    made_by_name,
    with_distance,
)
from desireline.trainer.losses.names import ALIASES
from desireline.trainer.losses.rows import Rows
from desireline.trainer.losses.vectors import VectorLoss
from desireline.trainer.losses.weighing import ClassMask, WeightedReducer
from desireline.trainer.naming import take_one_of

#: Those that learn from the pairs or triplets they are told of.
OF_PAIRS = (
    "CircleLoss",
    "ContrastiveLoss",
    "GeneralizedLiftedStructureLoss",
    "MarginLoss",
    "MultiSimilarityLoss",
    "NTXentLoss",
    "SignalToNoiseRatioContrastiveLoss",
    "SupConLoss",
    "TripletMarginLoss",
    "TupletMarginLoss",
)
#: Those that compare every text with a weight of their own for each document.
OF_CLASSES = (
    "ArcFaceLoss",
    "CosFaceLoss",
    "LargeMarginSoftmaxLoss",
    "NormalizedSoftmaxLoss",
    "SphereFaceLoss",
    "SubCenterArcFaceLoss",
)


class MetricLearningConfig(BaseModel, frozen=True, extra="forbid"):
    """A loss and a miner of pytorch-metric-learning, by name."""

    kind: Literal["metric_learning"] = "metric_learning"
    loss: str = "TripletMarginLoss"
    options: dict[str, Any] = {}
    miner: str | None = None
    miner_options: dict[str, Any] = {}


class MetricLearning(VectorLoss):
    """One of the library's losses over anchors and passages.

    An anchor's positives are the passages of its document, its negatives all others but those
    that may be right for it. The library's mean becomes one in which each row counts by its
    weight; where the library leaves zeros out of its mean, so is it here.
    """

    def __init__(
        self, model: torch.nn.Module, lessons: Lessons, settings: Mapping[str, object]
    ) -> None:
        super().__init__(model, lessons)
        config = MetricLearningConfig.model_validate(settings)
        self._of_classes = config.loss in OF_CLASSES
        self._miner = InBatchMiner(config.miner, config.miner_options)
        if self._of_classes and config.miner:
            raise LossError(
                f"{config.loss} compares with documents, not within the batch: the miner"
                f" {config.miner} has nothing to do; nothing was trained",
                next_step="leave the miner out",
            )
        self.criterion = self._made(config)
        self._weighing = WeightedReducer.put_into(self.criterion)

    def of_vectors(self, anchors: torch.Tensor, passages: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Return the loss of a batch; see `VectorLoss`."""
        document = rows.document[rows.target]
        if self._of_classes:
            return self._against_classes(anchors, passages, rows)
        self._weighing.of_rows = rows.weight
        loss: torch.Tensor = self.criterion(
            anchors,
            document,
            indices_tuple=self._miner.mine(anchors, passages, rows),
            ref_emb=passages,
            ref_labels=rows.document,
        )
        return loss

    def _against_classes(
        self, anchors: torch.Tensor, passages: torch.Tensor, rows: Rows
    ) -> torch.Tensor:
        """Have anchors and passages compared with the weights of all documents.

        A passage counts as much as the rows whose positive it is. What is related to such a
        row's anchor pushes neither the anchor nor the passage.
        """
        of_passages = torch.zeros(len(passages), device=rows.weight.device)
        of_passages = of_passages.index_add(0, rows.target, rows.weight)
        self._weighing.of_rows = torch.cat([rows.weight, of_passages])
        documents = torch.cat([rows.document[rows.target], rows.document])
        self.criterion.cross_entropy.forbidden = self._related(rows, documents)
        loss: torch.Tensor = self.criterion(torch.cat([anchors, passages]), documents)
        return loss

    def _related(self, rows: Rows, documents: torch.Tensor) -> torch.Tensor:
        related = torch.zeros(
            (len(documents), self.criterion.num_classes), dtype=torch.bool, device=documents.device
        )
        for line, number in enumerate(rows.numbers):
            known = sorted(self.lessons.related[number])
            related[line, known] = True
            related[len(rows.numbers) + int(rows.target[line]), known] = True
        related[torch.arange(len(documents)), documents] = False
        return related

    def _made(self, config: MetricLearningConfig) -> Any:
        if config.loss not in (*OF_PAIRS, *OF_CLASSES):
            raise LossError(
                f"{config.loss!r} is not a loss of pytorch-metric-learning that can weigh pairs"
                " and spare what may be right; nothing was trained",
                next_step=take_one_of(
                    config.loss, (*OF_PAIRS, *OF_CLASSES, *ALIASES, *plugins.names("losses"))
                ),
            )
        options = dict(config.options)
        if self._of_classes:
            whole: Any = self.model
            options |= {
                "num_classes": int(self.lessons.document.max()) + 1,
                "embedding_size": int(whole.get_embedding_dimension()),
            }
        with made_by_name(config.loss, config.options):
            found = getattr(losses, config.loss)
            check_kinds(found, config.options)
            made = found(**with_distance(options))
        if self._of_classes:
            made.num_classes = options["num_classes"]
            made.cross_entropy = ClassMask()
        return made
