"""A query encoder over the document vectors of another encoder."""

from collections.abc import Sequence

from desireline.connectors.documents import Vectors
from desireline.trainer.encoders.base import CountingEncoder, Encoder, EncodeStats
from desireline.trainer.encoders.wrapping import WrappingEncoder


class TwoTowerEncoder(WrappingEncoder):
    """Encodes queries by one encoder and documents by another, which embedded the index.

    It goes by the fingerprint of the query encoder, of which the encoder of the documents is a
    part. Both are of one dimension and similarity: the registry refuses others.
    """

    def __init__(self, *, queries: Encoder, documents: Encoder) -> None:
        super().__init__(queries)
        self._documents = documents

    @property
    def space(self) -> str:
        """Fingerprint of the encoder of the documents."""
        return self._documents.space

    @property
    def stats(self) -> EncodeStats:
        """Count of the documents encoded so far; queries are not in it."""
        documents = self._documents
        return documents.stats if isinstance(documents, CountingEncoder) else EncodeStats()

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode rendered documents; shape (len(texts), dimension)."""
        return self._documents.encode_documents(texts)
