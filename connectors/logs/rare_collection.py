"""Records by the million are made while the garbage collector seldom looks: it takes half the time.

They hold no cycles, so it finds nothing among them, and each goes when nothing refers to it any
more. What does hold cycles is still collected, once a good many objects have piled up.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

#: Objects made and not gone again before the collector looks; two pages of records are fewer.
_MANY = 200_000


class _Rarity:
    """How many read just now in this process, and how often the collector looked before."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._readers = 0
        self._usual = gc.get_threshold()

    def enter(self) -> None:
        with self._lock:
            if not self._readers:
                self._usual = gc.get_threshold()
                young, *older = self._usual
                if young:  # 0 is off, and stays so
                    gc.set_threshold(max(young, _MANY), *older)
            self._readers += 1

    def leave(self) -> None:
        with self._lock:
            self._readers -= 1
            if not self._readers:
                gc.set_threshold(*self._usual)


_RARITY = _Rarity()


@contextmanager
def rare_collection() -> Iterator[None]:
    """Let the collector look seldom; threads may overlap, the last one out puts it as it was."""
    _RARITY.enter()
    try:
        yield
    finally:
        _RARITY.leave()
