"""A linear map after an encoder's last module: another encoder, for queries alone."""

from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize

from desireline.connectors.documents import Vectors
from desireline.connectors.search_engine import Similarity
from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer


def mapped(folder: Path, matrix: Vectors, similarity: Similarity) -> SentenceTransformer:
    """Return the encoder of a folder whose vector `v` becomes `v @ matrix`.

    Unit vectors go in and come out where they are compared by cosine.

    Args:
        folder: of the encoder; it is left as it is.
        matrix: shape (its dimension, the dimension that comes out).
        similarity: how the mapped vectors are compared.

    """
    model = load_sentence_transformer(folder)
    if similarity == "cosine" and not isinstance(model[len(model) - 1], Normalize):
        model.append(Normalize())
    dense = Dense(
        matrix.shape[0],
        matrix.shape[1],
        bias=False,
        activation_function=torch.nn.Identity(),
        init_weight=torch.from_numpy(matrix.T.copy()),
    )
    model.append(dense)
    if similarity == "cosine":
        model.append(Normalize())
    return model
