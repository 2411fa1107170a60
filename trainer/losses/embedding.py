"""Texts of like length go through the model together, so that little padding is computed."""

import torch

from desireline.trainer.losses.base import Features

_PARTS = 3
#: Fewer texts than this are not worth a forward pass of their own.
_FEWEST = 16


def embed(model: torch.nn.Module, features: Features) -> torch.Tensor:
    """Return the embeddings of tokenised texts, shape (texts, dimension), in their order.

    Padded tokens decide nothing, so cutting them off changes no embedding; models whose
    features are not padded on the right (a table of word vectors) take all texts at once.
    """
    mask = features.get("attention_mask")
    if mask is None or mask.dim() != 2 or len(mask) < 2 * _FEWEST or not _right_padded(mask):  # noqa: PLR2004 - texts x tokens
        return _embedding(model, features)
    lengths = mask.sum(dim=1)
    order = torch.argsort(lengths, stable=True)
    parts = order.chunk(min(_PARTS, len(order) // _FEWEST))
    found = [
        _embedding(model, _take(features, mask, part, int(lengths[part].max()))) for part in parts
    ]
    return torch.cat(found)[torch.argsort(order)]


def _right_padded(mask: torch.Tensor) -> bool:
    return bool((mask[:, 1:] <= mask[:, :-1]).all())


def _take(features: Features, mask: torch.Tensor, rows: torch.Tensor, longest: int) -> Features:
    """Cut some texts out, and off after the longest of them."""
    return {
        name: value[rows, :longest]
        if isinstance(value, torch.Tensor) and value.shape == mask.shape
        else value
        for name, value in features.items()
    }


def _embedding(model: torch.nn.Module, features: Features) -> torch.Tensor:
    embedding: torch.Tensor = model(features)["sentence_embedding"]
    return embedding
