"""The vectors of a catalogue, as they are in its index."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from desireline.connectors.documents import Vectors
from desireline.trainer.errors import NothingToLearnError

_IDS = "document_ids.parquet"
_VECTORS = "vectors.npy"


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentVectors:
    """Documents and what their encoder made of them."""

    document_ids: tuple[str, ...]
    #: Shape (documents, dimension).
    vectors: Vectors

    def write(self, folder: Path) -> None:
        """Write what `read` reads."""
        folder.mkdir(parents=True, exist_ok=True)
        ids = pl.DataFrame({"document_id": self.document_ids}, schema={"document_id": pl.String})
        ids.write_parquet(folder / _IDS)
        np.save(folder / _VECTORS, self.vectors, allow_pickle=False)

    @classmethod
    def read(cls, folder: Path) -> "DocumentVectors":
        """Read a folder written by `write`.

        Raises:
            NothingToLearnError: there are no vectors, or they cannot be read.

        """
        try:
            ids = pl.read_parquet(folder / _IDS).get_column("document_id").to_list()
            vectors: Vectors = np.load(folder / _VECTORS, allow_pickle=False)
        except (OSError, ValueError, pl.exceptions.PolarsError) as error:
            raise NothingToLearnError(
                f"the document vectors in {folder} cannot be read: {error}"
            ) from error
        return cls(document_ids=tuple(ids), vectors=vectors)


def choose_documents(
    document_ids: Sequence[str], needed: set[str], *, most: int, seed: int
) -> list[str]:
    """Return the needed documents, and others drawn by chance up to `most`, in the given order."""
    others = [name for name in document_ids if name not in needed]
    room = max(0, most - (len(document_ids) - len(others)))
    drawn = np.random.default_rng(seed).permutation(len(others))[:room]
    kept = needed | {others[number] for number in drawn}
    return [name for name in document_ids if name in kept]
