"""The one object a query is answered by: encoder, slot and index of one generation."""

from dataclasses import dataclass

from desireline.connectors.search_engine import Hit, SearchEngine
from desireline.trainer.encoders.base import Encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveGeneration:
    """Encoder, slot and index that belong together; never read apart."""

    target: str
    index: str
    number: int
    slot: str
    fingerprint: str
    encoder: Encoder

    def search(self, engine: SearchEngine, text: str, k: int) -> list[Hit]:
        """Answer one query."""
        vector = self.encoder.encode_queries([text])[0]
        return engine.search_vectors(self.index, self.slot, vector, k)
