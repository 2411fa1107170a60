"""The one object a query is answered by: encoder, slot and index of one generation."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from desireline.connectors.search_engine import Hit, SearchEngine
from desireline.sidecar.encoders import EncoderPool
from desireline.sidecar.errors import NoGenerationError
from desireline.sidecar.generations import Generation, Generations, State
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


def serve_by(generation: Generation, encoders: EncoderPool) -> LiveGeneration:
    """Bind a generation to its encoder."""
    return LiveGeneration(
        target=generation.target,
        index=generation.index,
        number=generation.number,
        slot=generation.slot,
        fingerprint=generation.fingerprint,
        encoder=encoders.get(generation.fingerprint),
    )


class Serving:
    """What one target's queries are answered by, looked up at most every `refresh_s`.

    For that long after a swap queries are still answered by the former generation, which
    the hold keeps complete and fresh: old or new, never a mixture.
    """

    def __init__(
        self,
        generations: Generations,
        encoders: EncoderPool,
        *,
        refresh_s: float = 0.5,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._generations = generations
        self._encoders = encoders
        self._refresh_s = refresh_s
        self._monotonic = monotonic
        self._live: LiveGeneration | None = None
        self._looked_at = float("-inf")
        self._lock = threading.Lock()

    def live(self) -> LiveGeneration:
        """Return the live generation. Raises NoGenerationError before the first cut-over."""
        now = self._monotonic()
        live = self._live
        if live is not None and now - self._looked_at < self._refresh_s:
            return live
        with self._lock:
            if self._monotonic() - self._looked_at >= self._refresh_s or self._live is None:
                self._look(now)
            if self._live is None:
                raise NoGenerationError(
                    f"target {self._generations.target!r} has no live generation yet",
                    next_step="desireline tune TARGET builds the first one",
                )
            return self._live

    def preload(self) -> None:
        """Load the encoders of generations that may go live next: ready and retained ones."""
        for generation in self._generations.all():
            if generation.state in {State.READY, State.RETAINED}:
                self._encoders.get(generation.fingerprint)

    def _look(self, now: float) -> None:
        generation = self._generations.live()
        if generation is not None and (
            self._live is None or self._live.number != generation.number
        ):
            self._live = serve_by(generation, self._encoders)
        self._looked_at = now
