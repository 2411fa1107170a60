"""Which weights of an encoder train, and what is put on top of it."""

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize

from desireline.trainer.jobs import FitConfig
from desireline.trainer.training.optimising import depths_of


def prepare_weights(model: SentenceTransformer, config: FitConfig) -> None:
    """Freeze word vectors unless they are all there is; turn dropout off unless asked for."""
    frozen = [
        parameter for name, parameter in model.named_parameters() if ".embeddings." in f".{name}"
    ]
    if config.freeze_token_embeddings and len(frozen) < len(list(model.parameters())):
        for parameter in frozen:
            parameter.requires_grad = False
    _freeze_layers(model, config.frozen_layers)
    if not config.dropout:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0


def _freeze_layers(model: SentenceTransformer, count: int) -> None:
    """Freeze the lowest layers, embeddings among them, but never the top one."""
    depths = depths_of(model)
    top = max((depth for depth in depths.values()), default=0) - 1
    for name, parameter in model.named_parameters():
        if count and depths[name] < min(count + 1, top):
            parameter.requires_grad = False


def put_projection(model: SentenceTransformer, dimension: int) -> None:
    """Put a linear projection on top, an orthogonal one to begin with: it keeps distances best."""
    last = len(model)
    at = last - 1 if isinstance(model[last - 1], Normalize) else last
    length = int(model.get_embedding_dimension() or 0)
    dense = Dense(length, dimension, bias=False, activation_function=torch.nn.Identity())
    torch.nn.init.orthogonal_(dense.linear.weight)
    model.insert(at, dense.to(model.device))
