"""Texts of like length go through the model together, so that little padding is computed.

Where several processes train together, each embeds its share of the texts, and all get the vectors
of all: a loss sees the whole batch whoever embedded it, and the gradients of all processes add up
to that of one process over the whole batch.
"""

from collections.abc import Callable

import torch

from desireline.trainer.losses.base import Features
from desireline.trainer.peers import Peers, peers

Embed = Callable[[torch.nn.Module, Features], torch.Tensor]
"""Makes the embeddings of tokenised texts, shape (texts, dimension), in their order."""

LENGTHS = "lengths"
"""Feature that may stand beside a mask: the tokens of each text, on the processor, shape (texts,).
It says that texts are padded on the right, and spares waiting for the device to say so."""

_PARTS = 3
#: Fewer texts than this are not worth a forward pass of their own.
_FEWEST = 16


def embed(model: torch.nn.Module, features: Features) -> torch.Tensor:
    """Return the embeddings of tokenised texts, shape (texts, dimension), in their order."""
    return embed_together(embed_here, model, features)


def embed_together(how: Embed, model: torch.nn.Module, features: Features) -> torch.Tensor:
    """Embed this process's share of the texts, and return the embeddings of all.

    A gradient flows into the share alone. Texts that cannot be parted are embedded by all.
    """
    together = peers()
    if together.count == 1:
        return how(model, features)
    lengths = _lengths(features)
    if lengths is None:
        return _own_gradient(how(model, features).float(), together)
    order = torch.argsort(lengths, stable=True)
    share = order[together.share(len(order))]
    # One with nothing to do goes through the model, too: its weights have a gradient, of zeros.
    vectors = how(model, _take(features, lengths, share if len(share) else order[:1]))
    found = together.gathered(vectors.float()[: len(share)], len(order))
    return found[torch.argsort(order).to(found.device)]


def embed_here(model: torch.nn.Module, features: Features) -> torch.Tensor:
    """Return the embeddings of tokenised texts, all made by this process.

    Padded tokens decide nothing, so cutting them off changes no embedding; models whose
    features are not padded on the right (a table of word vectors) take all texts at once.
    """
    lengths = _lengths(features)
    if lengths is None or len(lengths) < 2 * _FEWEST:
        return _embedding(model, features)
    order = torch.argsort(lengths, stable=True)
    parts = order.chunk(min(_PARTS, len(order) // _FEWEST))
    found = torch.cat([_embedding(model, _take(features, lengths, part)) for part in parts])
    return found[torch.argsort(order).to(found.device)]


def _lengths(features: Features) -> torch.Tensor | None:
    """Count the tokens of each text, on the processor; None if not padded on the right."""
    known: torch.Tensor | None = features.get(LENGTHS)
    return known if known is not None else lengths_of(features.get("attention_mask"))


def lengths_of(mask: torch.Tensor | None) -> torch.Tensor | None:
    """Count the tokens of each text, on the processor; None if not padded on the right."""
    if mask is None or mask.dim() != 2:  # noqa: PLR2004 - texts x tokens
        return None
    seen = mask.cpu()
    return seen.sum(dim=1) if bool((seen[:, 1:] <= seen[:, :-1]).all()) else None


def _take(features: Features, lengths: torch.Tensor, rows: torch.Tensor) -> Features:
    """Cut some texts out, and off after the longest of them."""
    mask, longest = features["attention_mask"], int(lengths[rows].max())
    taken = {
        name: value[rows.to(value.device), :longest]
        if isinstance(value, torch.Tensor) and value.shape == mask.shape
        else value
        for name, value in features.items()
    }
    return taken | {LENGTHS: lengths[rows]}


def _own_gradient(vectors: torch.Tensor, together: Peers) -> torch.Tensor:
    """Let a gradient flow through this process's rows alone."""
    own = torch.zeros(len(vectors), 1, dtype=torch.bool, device=vectors.device)
    own[together.share(len(vectors))] = True
    return torch.where(own, vectors, vectors.detach())


def _embedding(model: torch.nn.Module, features: Features) -> torch.Tensor:
    read = {name: value for name, value in features.items() if name != LENGTHS}
    embedding: torch.Tensor = model(read)["sentence_embedding"]
    return embedding
