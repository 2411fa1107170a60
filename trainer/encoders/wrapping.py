"""What every encoder is that stands before another one."""

from collections.abc import Sequence

from desireline.connectors.documents import Vectors
from desireline.connectors.search_engine import Similarity
from desireline.trainer.encoders.base import Encoder


class WrappingEncoder:
    """Goes by the other's fingerprint and encodes by it.

    A subclass changes what it takes to get a vector, or which side of the other it stands for;
    one whose vectors are others owes a fingerprint of its own.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @property
    def fingerprint(self) -> str:
        """The encoder's own."""
        return self._encoder.fingerprint

    @property
    def space(self) -> str:
        """The encoder's own."""
        return self._encoder.space

    @property
    def dimension(self) -> int:
        """The encoder's own."""
        return self._encoder.dimension

    @property
    def similarity(self) -> Similarity:
        """The encoder's own."""
        return self._encoder.similarity

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode what users typed; shape (len(texts), dimension)."""
        return self._encoder.encode_queries(texts)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode rendered documents; shape (len(texts), dimension)."""
        return self._encoder.encode_documents(texts)
