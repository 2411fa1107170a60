"""How long live searches take, seen by asking some: real kNN queries on what serves now."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import cycle

from desireline.connectors.errors import ConnectorError
from desireline.connectors.search_engine import Read, SearchEngine
from desireline.sidecar.generations import Generation

_WINDOW = 100
_BASELINE = 40
_WARM_UPS = 5
_QUERIES = 32
_K = 10


class SearchProbe:
    """A sliding window of the last hundred searches, and what they took before the run.

    Threads may share it: one asks, another reads.
    """

    def __init__(
        self,
        search: Callable[[], object],
        *,
        floor_s: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._search = search
        #: Searches below this are never called slow.
        self._floor_s = floor_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._window: deque[float] = deque(maxlen=_WINDOW)
        self._baseline: tuple[float, ...] = ()
        #: Searches that were answered so far.
        self.count = 0
        #: Why the last search was not answered; empty when it was.
        self.failure = ""

    def measure_baseline(self) -> None:
        """Ask while nothing of ours goes on; what the first few load is not counted."""
        for _ in range(_WARM_UPS):
            self._search()
        self._baseline = tuple(self._timed() for _ in range(_BASELINE))

    def ask(self) -> None:
        """Send one search and remember how long it took."""
        try:
            took_s = self._timed()
        except ConnectorError as error:
            self.failure = str(error)
            return
        with self._lock:
            self._window.append(took_s)
            self.count += 1
            self.failure = ""

    def quantile_s(self, share: float, *, last: int = _WINDOW) -> float | None:
        """Return the quantile of the newest searches in seconds; None before there are any."""
        return _quantile(self.newest(last), share)

    def baseline_s(self, share: float) -> float:
        """Return the quantile before the run, but at least the floor."""
        return max(_quantile(self._baseline, share) or 0.0, self._floor_s)

    def is_slow(self, share: float, ratio: float, *, last: int = _WINDOW) -> bool:
        """Say whether a quantile is above so many times what it was before the run."""
        now = self.quantile_s(share, last=last)
        return now is not None and now > ratio * self.baseline_s(share)

    def forget(self) -> None:
        """Empty the window: what comes from now on is judged by itself."""
        with self._lock:
            self._window.clear()

    def newest(self, last: int) -> list[float]:
        """Return the newest searches in seconds, oldest first."""
        with self._lock:
            return list(self._window)[-last:]

    def _timed(self) -> float:
        began = self._monotonic()
        self._search()
        return self._monotonic() - began


def live_search(engine: SearchEngine, live: Generation) -> Callable[[], object] | None:
    """Return a search of what is live, each time by another document's vector; None: it is empty.

    The vectors are real ones, so that the probe walks the same graph as a user's query.
    """
    index, slot, number = live.index, live.slot, live.stamp_number
    read = Read(slots=(slot,), embeddings=True, batch_size=_QUERIES)
    sample = [
        document.embeddings[slot]
        for document in next(iter(engine.scan(index, read)), [])
        if slot in document.embeddings
    ]
    if not sample:
        return None
    vectors = cycle(sample)
    return lambda: engine.search_vectors(index, slot, next(vectors), _K, generation=number)


def _quantile(values: Sequence[float], share: float) -> float | None:
    """Return the nearest rank: the least value that so many are not above."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
