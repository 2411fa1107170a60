"""Documents found by their vectors: exactly, in blocks."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from desireline.trainer.encoders.base import Encoder
from desireline.trainer.errors import SynthesisError
from desireline.trainer.synthesis.deadline import Deadline
from desireline.trainer.synthesis.pieces import Pieces
from desireline.trainer.synthesis.settings import Progress
from desireline.trainer.synthesis.sources import Documents

#: Documents whose vectors are in memory at a time.
BLOCK = 2_048


class VectorSearch:
    """Compares every query with every document; vectors lie on the disk, a block in memory."""

    def __init__(self, name: str, encoder: Encoder, documents: Documents, folder: Path) -> None:
        self.name = name
        self.fingerprint = encoder.fingerprint
        self._encoder = encoder
        self._documents = documents
        self._pieces = Pieces(folder)

    def prepare(self, deadline: Deadline, progress: Progress) -> None:
        """Encode every document that is not encoded yet.

        Raises:
            SynthesisError: the time is spent; what is encoded is kept.

        """
        count = len(self._documents)
        for start in range(0, count, BLOCK):
            if deadline.passed and not self._pieces.has(start // BLOCK, self._of):
                raise out_of_time(f"{start:,} of {count:,} documents were encoded by {self.name}")
            self._vectors(start)
            progress(f"encode {self.name}", min(start + BLOCK, count), count)

    def blocks(self, queries: Sequence[str]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield the number of each block's first document, and its scores, a row a query."""
        asked = self._encoder.encode_queries(queries)
        for start in range(0, len(self._documents), BLOCK):
            yield start, asked @ self._vectors(start).T

    @property
    def _of(self) -> str:
        return f"{self.fingerprint} {self._documents.digest} {BLOCK}"

    def _vectors(self, start: int) -> NDArray[np.float32]:
        numbers = range(start, min(start + BLOCK, len(self._documents)))

        def make() -> dict[str, NDArray[np.float32]]:
            texts = self._documents.texts.texts(numbers)
            return {"vectors": np.asarray(self._encoder.encode_documents(texts), np.float32)}

        return self._pieces.arrays(start // BLOCK, self._of, make)["vectors"]


def out_of_time(where: str) -> SynthesisError:
    """Say how far it came before there was anything to give."""
    return SynthesisError(
        f"the time was spent when {where}; there is no row yet, and all that was done is kept",
        next_step="run the same again: it goes on from there; or give it more time",
    )
