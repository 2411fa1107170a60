"""What people call a loss: Finetuner's and sentence-transformers' names, and ours."""

from collections.abc import Mapping
from typing import Any

from desireline.connectors import plugins
from desireline.trainer.errors import LossError

#: Names of other libraries, for losses that are here under a word of their own.
ALIASES = {
    "MultipleNegativesRankingLoss": "infonce",
    "CLIPLoss": "infonce",
    "GISTEmbedLoss": "guided",
    "CachedMultipleNegativesRankingLoss": "cached",
    "MatryoshkaLoss": "matryoshka",
    "MarginMSELoss": "margin_mse",
    "CoSENTLoss": "cosent",
    "CosineSimilarityLoss": "cosine",
}


def settings_of_loss(
    loss: str,
    options: Mapping[str, Any] | None,
    miner: str | None,
    miner_options: Mapping[str, Any] | None,
) -> tuple[str, dict[str, object]]:
    """Return the plugin and its settings.

    Raises:
        LossError: a miner is named for a loss that has no use for one.

    """
    name = ALIASES.get(loss, loss)
    if name not in plugins.names("losses"):
        return "metric_learning", {
            "loss": loss,
            "options": dict(options or {}),
            "miner": miner,
            "miner_options": dict(miner_options or {}),
        }
    if miner is not None:
        raise LossError(
            f"the in-batch miner {miner} serves the losses of pytorch-metric-learning, not {loss};"
            " nothing was trained",
            next_step="leave miner out, or take a loss such as TripletMarginLoss",
        )
    return name, dict(options or {})
