"""A query encoder over the document vectors of another encoder."""

from collections.abc import Sequence

from desireline.connectors.documents import Vectors
from desireline.connectors.search_engine import Similarity
from desireline.trainer.encoders.base import CountingEncoder, Encoder, EncodeStats


class TwoTowerEncoder:
    """Encodes queries by one encoder and documents by another, which embedded the index.

    Both are of one dimension and similarity: the registry refuses others.
    """

    def __init__(self, *, queries: Encoder, documents: Encoder) -> None:
        self._queries = queries
        self._documents = documents

    @property
    def fingerprint(self) -> str:
        """The query encoder's, of which the encoder of the documents is a part."""
        return self._queries.fingerprint

    @property
    def space(self) -> str:
        """Fingerprint of the encoder of the documents."""
        return self._documents.space

    @property
    def dimension(self) -> int:
        """Length of a vector of either side."""
        return self._queries.dimension

    @property
    def similarity(self) -> Similarity:
        """How a query is compared with a document."""
        return self._queries.similarity

    @property
    def stats(self) -> EncodeStats:
        """Count of the documents encoded so far; queries are not in it."""
        documents = self._documents
        return documents.stats if isinstance(documents, CountingEncoder) else EncodeStats()

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode what users typed; shape (len(texts), dimension)."""
        return self._queries.encode_queries(texts)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode rendered documents; shape (len(texts), dimension)."""
        return self._documents.encode_documents(texts)
