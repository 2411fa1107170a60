"""The encoders in memory: loaded once, verified at load, the oldest dropped."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from desireline.trainer.encoders.base import Encoder
from desireline.trainer.registry import Registry


class EncoderPool:
    """Encoders by fingerprint; the one used longest ago is dropped when there are too many."""

    def __init__(self, load: Callable[[str], Encoder], *, keep: int) -> None:
        self._load = load
        self._keep = keep
        self._encoders: OrderedDict[str, Encoder] = OrderedDict()
        #: Taken again by its holder: loading one encoder may ask for that of its documents.
        self._lock = threading.RLock()

    def get(self, fingerprint: str) -> Encoder:
        """Return the encoder, loading it if need be. Raises ModelChangedError, TrainerError."""
        with self._lock:
            if fingerprint not in self._encoders:
                self._encoders[fingerprint] = self._load(fingerprint)
            self._encoders.move_to_end(fingerprint)
            while len(self._encoders) > self._keep:
                self._encoders.popitem(last=False)
            return self._encoders[fingerprint]

    def loaded(self) -> list[str]:
        """Fingerprints in memory."""
        with self._lock:
            return list(self._encoders)


def pool_over(registry: Registry, *, threads: int | None, keep: int) -> EncoderPool:
    """Return the encoders of a registry; two that share their documents' encoder share it here."""

    def load(fingerprint: str) -> Encoder:
        return registry.load(fingerprint, threads, documents=pool.get)

    pool = EncoderPool(load, keep=keep)
    return pool
