"""A bridge: queries of a new encoder search the document vectors of the old one.

A linear map from the new space to the old is fitted on documents that both encoders have embedded,
and put after the new encoder: a query-side model. Source of the method: Drift-Adapter (arXiv
2509.23471), which tries the same kinds of maps; its residual network is not among ours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from desireline.connectors.documents import Vectors
from desireline.trainer.errors import NothingToLearnError, NotQuerySideError
from desireline.trainer.forms.export import export_onnx
from desireline.trainer.forms.query_map import mapped
from desireline.trainer.models.manifest import Manifest, Provenance
from desireline.trainer.registry import Registry
from desireline.trainer.training.tuned import save_encoder

#: Fewer documents fit no map that could be judged.
FEWEST = 20
_HELD_OUT = 0.1
#: Penalties of the ridge, in mean squared length of one coordinate of all rows together.
_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)

Fit = Callable[[Vectors, Vectors], Vectors]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """A map from one space to another."""

    #: Which kind of map it is.
    kind: str
    #: Shape (dimension of the new space, dimension of the old one).
    matrix: Vectors
    #: Mean cosine of mapped and old vectors, over documents it was not fitted on.
    likeness: float


def procrustes(new: Vectors, old: Vectors) -> Vectors:
    """Return the rotation (or reflection) that brings new vectors nearest to the old ones."""
    left, _, right = np.linalg.svd(new.T @ old, full_matrices=False)
    return np.asarray(left @ right, dtype=np.float32)


def ridge(new: Vectors, old: Vectors, *, penalty: float, rank: int | None = None) -> Vectors:
    """Return the least-squares map under a penalty of its size; with `rank`, the best of that rank.

    Of low rank it keeps the directions in which the mapped vectors vary most (reduced-rank
    regression).
    """
    gram = new.T @ new
    size = penalty * float(np.trace(gram)) / len(gram)
    matrix = np.linalg.solve(gram + size * np.eye(len(gram), dtype=gram.dtype), new.T @ old)
    if rank is not None:
        _, _, right = np.linalg.svd(new @ matrix, full_matrices=False)
        matrix = matrix @ right[:rank].T @ right[:rank]
    return np.asarray(matrix, dtype=np.float32)


def kinds_of(dimension: int) -> Mapping[str, Fit]:
    """Return every kind of map that is tried, by name."""
    kinds: dict[str, Fit] = {"procrustes": procrustes}
    for penalty in _PENALTIES:

        def whole(new: Vectors, old: Vectors, penalty: float = penalty) -> Vectors:
            return ridge(new, old, penalty=penalty)

        def narrow(new: Vectors, old: Vectors, penalty: float = penalty) -> Vectors:
            return ridge(new, old, penalty=penalty, rank=max(1, dimension // 4))

        kinds[f"ridge {penalty:g}"] = whole
        kinds[f"ridge {penalty:g}, rank {max(1, dimension // 4)}"] = narrow
    return kinds


def fit_bridge(new: Vectors, old: Vectors, *, seed: int = 0) -> Bridge:
    """Fit every kind of map on most rows and keep the one that is best on the others.

    Args:
        new: documents by the new encoder, shape (documents, its dimension).
        old: the same documents by the old one.
        seed: draws the rows that are held out.

    Raises:
        NothingToLearnError: there are too few documents.

    """
    if len(new) < FEWEST:
        raise NothingToLearnError(
            f"{len(new)} documents are too few to fit a bridge on; {FEWEST} are needed"
        )
    order = np.random.default_rng(seed).permutation(len(new))
    held, fitted = np.split(order, [max(1, round(len(order) * _HELD_OUT))])
    tried = [
        Bridge(kind=kind, matrix=matrix, likeness=_likeness(new[held] @ matrix, old[held]))
        for kind, fit in kinds_of(min(new.shape[1], old.shape[1])).items()
        for matrix in [fit(new[fitted], old[fitted])]
    ]
    return max(tried, key=lambda bridge: bridge.likeness)


def register_bridge(
    registry: Registry, *, new: str, old: str, texts: Sequence[str], seed: int = 0
) -> tuple[Manifest, Bridge]:
    """Register the query-side model by which a new encoder's queries search an old one's documents.

    Args:
        registry: holds both.
        new: fingerprint of an encoder of its own documents.
        old: fingerprint of the encoder that serves.
        texts: rendered documents; both encode them.
        seed: draws the documents that judge the map.

    Raises:
        ModelMissingError, ModelChangedError: as they say.
        NotQuerySideError: the new one encodes queries alone, or renders documents otherwise.
        NothingToLearnError: there are too few documents.

    """
    made, served = registry.get(new), registry.get(old)
    if made.documents is not None:
        raise NotQuerySideError(
            f"the model {new[:12]} is a query-side model: there is no new space to build a bridge"
            " from; nothing was added",
            next_step="put it live as it is: no document need be embedded",
        )
    documents = list(texts)
    found = fit_bridge(
        registry.load(new).encode_documents(documents),
        registry.load(old).encode_documents(documents),
        seed=seed,
    )
    with registry.workspace() as folder:
        out = folder / "bridge"
        similarity = served.settings.similarity
        save_encoder(mapped(registry.folder(new), found.matrix, similarity), out)
        export_onnx(out)
        manifest = registry.add(
            out,
            template=served.text_template,
            similarity=similarity,
            provenance=Provenance(
                base_model=made.provenance.base_model,
                parent=new,
                mode="bridge",
                cycle_id=made.provenance.cycle_id,
                data_window=made.provenance.data_window,
                seed=seed,
                code_version=made.provenance.code_version,
                pairs=made.provenance.pairs,
            ),
            documents=served.space,
        )
    return manifest, found


def _likeness(mapped_rows: Vectors, old: Vectors) -> float:
    lengths = np.linalg.norm(mapped_rows, axis=1) * np.linalg.norm(old, axis=1)
    return float(((mapped_rows * old).sum(axis=1) / np.where(lengths == 0, 1, lengths)).mean())
