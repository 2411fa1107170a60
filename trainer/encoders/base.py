"""Port: text in, vectors out."""

from collections.abc import Sequence
from typing import Protocol

from desireline.connectors.documents import Vectors
from desireline.connectors.search_engine import Similarity


class Encoder(Protocol):
    """Turns queries and documents into vectors of one space.

    Rows come back in the order of the texts, shape (len(texts), dimension), float32,
    L2-normalised where the similarity is cosine. Safe to call from several threads.
    """

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all that decides a vector; equal fingerprints mean equal vectors."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    @property
    def similarity(self) -> Similarity:
        """How vectors of this space are compared."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode what users typed."""
        ...

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode rendered documents."""
        ...
