"""What the incumbent makes of queries and documents, each encoded once."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from desireline.connectors.documents import Vectors
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.encoders.base import Encoder

Cosines = NDArray[np.float32]


class Likeness:
    """Cosines between queries and documents, by an encoder that may be wrong about them."""

    def __init__(self, encoder: Encoder, documents: Mapping[str, DocumentText]) -> None:
        self._encoder = encoder
        self._documents = documents
        self._of_document: dict[str, NDArray[np.float32]] = {}
        self._of_query: dict[str, NDArray[np.float32]] = {}

    def read_queries(self, queries: Sequence[str]) -> None:
        """Encode many queries at once, which is faster than one by one as they come."""
        fresh = [query for query in dict.fromkeys(queries) if query not in self._of_query]
        vectors = _unit(self._encoder.encode_queries(fresh)) if fresh else ()
        self._of_query.update(zip(fresh, vectors, strict=True))

    def to_query(self, query: str, document_ids: Sequence[str]) -> Cosines:
        """Compare a query with documents; shape (len(document_ids),)."""
        self.read_queries([query])
        cosines: Cosines = self._vectors(document_ids) @ self._of_query[query]
        return cosines

    def to_document(self, document_id: str, document_ids: Sequence[str]) -> Cosines:
        """Compare a document with others; shape (len(document_ids),)."""
        cosines: Cosines = self._vectors(document_ids) @ self._vectors([document_id])[0]
        return cosines

    def between_queries(self, first: str, second: str) -> float:
        """Compare two queries."""
        self.read_queries([first, second])
        return float(self._of_query[first] @ self._of_query[second])

    def place(self, query: str, document_id: str) -> int:
        """Say at which place, from 1, the encoder finds the document among all with text."""
        names, matrix = self._all
        self.read_queries([query])
        cosines = matrix @ self._of_query[query]
        return int(np.sum(cosines >= cosines[names[document_id]]))

    @cached_property
    def _all(self) -> tuple[dict[str, int], Vectors]:
        names = [name for name, document in self._documents.items() if document.parts]
        return {name: row for row, name in enumerate(names)}, self._vectors(names)

    def _vectors(self, document_ids: Sequence[str]) -> Vectors:
        fresh = [name for name in dict.fromkeys(document_ids) if name not in self._of_document]
        if fresh:
            texts = [self._documents[name].text for name in fresh]
            vectors = _unit(self._encoder.encode_documents(texts))
            self._of_document.update(zip(fresh, vectors, strict=True))
        known = [self._of_document[name] for name in document_ids]
        return np.stack(known) if known else np.zeros((0, self._encoder.dimension), np.float32)


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
