"""Port: text in, vectors out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

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
    def space(self) -> str:
        """Fingerprint of the encoder whose document vectors its queries are compared with.

        Its own, except where it encodes queries alone. Equal spaces mean equal document vectors.
        """
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


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeStats:
    """What an encoder has done with documents since it was opened."""

    texts: int = 0
    #: Tokens of the texts after truncation, their special tokens included.
    tokens: int = 0
    #: Tokens that went through the graph: those of the texts and the padding between them.
    computed_tokens: int = 0
    #: Seconds from text to tokens.
    tokenise_s: float = 0.0

    @property
    def padding(self) -> float:
        """Computed tokens for each real one; 1.0 is none wasted."""
        return self.computed_tokens / self.tokens if self.tokens else 1.0


@runtime_checkable
class CountingEncoder(Protocol):
    """An encoder that keeps count of its work. All who share it are counted together."""

    @property
    def stats(self) -> EncodeStats:
        """What was done so far."""
        ...
