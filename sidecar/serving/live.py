"""The one object a query is answered by: encoder, slot and index of one generation."""

import threading
from dataclasses import dataclass, field

from desireline.connectors.search_engine import Hit, SearchEngine
from desireline.sidecar.errors import NoGenerationError
from desireline.sidecar.generations import Generation, Generations, State
from desireline.sidecar.serving.encoders import EncoderPool
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
    #: Number of the generation that embedded the documents; None: this one.
    vectors_of: int | None = None

    @property
    def stamp_number(self) -> int:
        """The number that the stamps of its documents bear."""
        return self.number if self.vectors_of is None else self.vectors_of

    def search(self, engine: SearchEngine, text: str, k: int) -> list[Hit]:
        """Answer one query."""
        vector = self.encoder.encode_queries([text])[0]
        return engine.search_vectors(self.index, self.slot, vector, k, generation=self.stamp_number)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAddress:
    """How the proxy reaches the cluster."""

    url: str
    #: Value of the Authorization header; never shown.
    authorization: str | None = field(default=None, repr=False)
    #: Whether the certificate must be valid, or the path of the authorities to trust.
    verify: bool | str = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFields:
    """The fields of a target's index that a query may name."""

    #: The vector as applications call it.
    vector: str
    #: The slots behind it, of which one is live.
    slots: tuple[str, ...]
    #: Fields searched by BM25, with their boosts.
    text: tuple[tuple[str, float], ...]

    @property
    def answerable(self) -> frozenset[str]:
        """Names under which a neural clause means this vector."""
        return frozenset((self.vector, *self.slots))

    @property
    def bulky(self) -> tuple[str, ...]:
        """Fields left out of an answer unless the caller asks for them."""
        return tuple(name for slot in self.slots for name in (slot, f"{slot}_stamp"))


def serve_by(generation: Generation, encoders: EncoderPool) -> LiveGeneration:
    """Bind a generation to its encoder."""
    return LiveGeneration(
        target=generation.target,
        index=generation.index,
        number=generation.number,
        slot=generation.slot,
        fingerprint=generation.fingerprint,
        encoder=encoders.get(generation.fingerprint),
        vectors_of=generation.vectors_of,
    )


class Serving:
    """What one target's queries are answered by, from memory.

    `refresh` looks at the pointer; a server calls it a few times a second. Until then
    queries are still answered by the former generation, which the hold keeps complete and
    fresh: old or new, never a mixture.
    """

    def __init__(self, generations: Generations, encoders: EncoderPool) -> None:
        self._generations = generations
        self._encoders = encoders
        self._live: LiveGeneration | None = None
        self._lock = threading.Lock()

    def live(self) -> LiveGeneration:
        """Return the live generation. Raises NoGenerationError before the first cut-over."""
        live = self._live or self.refresh()
        if live is None:
            raise NoGenerationError(
                f"target {self._generations.target!r} has no live generation yet",
                next_step=f"desireline tune {self._generations.target} builds the first one",
            )
        return live

    def refresh(self) -> LiveGeneration | None:
        """Look at the pointer and, after a swap, change over in one assignment."""
        with self._lock:
            generation = self._generations.live()
            if generation is not None and (
                self._live is None or self._live.number != generation.number
            ):
                self._live = serve_by(generation, self._encoders)
            return self._live

    def preload(self) -> None:
        """Load the encoders of generations that may go live next: ready and retained ones."""
        for generation in self._generations.all():
            if generation.state in {State.READY, State.RETAINED}:
                self._encoders.get(generation.fingerprint)
