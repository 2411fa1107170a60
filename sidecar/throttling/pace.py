"""How fast a run may write: the operator's limit, and a gentle pace found by watching searches."""

import time
from collections.abc import Callable

from desireline.sidecar.throttling.search_probe import SearchProbe

_SLOWER = 0.7
_FASTER = 0.05
_SLOWEST = 0.05
#: Shorter than any sleep; what is left of the debt stays owed.
_AT_ONCE_S = 1e-6
#: Fresh probes between two decisions, so that each is judged by what the one before it did.
_FRESH = 20


class Pace:
    """A debt of documents that time pays off at the rate that holds now.

    What is let through is owed; the next batch goes when nothing is owed. Time that was not used
    is not saved up, so in no span of time do more than rate x span + one batch go through.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._owed = 0.0
        self._paid_at = monotonic()

    def due_s(self, rate: float | None) -> float:
        """Return in how many seconds the next batch may go at so many documents a second."""
        now = self._monotonic()
        if rate is None:
            self._owed = 0.0
        else:
            self._owed = max(0.0, self._owed - (now - self._paid_at) * rate)
        self._paid_at = now
        due_s = self._owed / rate if rate else 0.0
        return due_s if due_s > _AT_ONCE_S else 0.0

    def take(self, documents: int) -> None:
        """Owe a batch that goes now."""
        self._owed += documents


class GentlePace:
    """Slows down before there is a reason to stop: additive increase, multiplicative decrease.

    It has no limit until live searches become slower than `ratio` times what they were before the
    run. Then the rate falls to 70 % of what was really written, and again after every 20 fresh
    probes that are still slow; when they are quick it rises by a twentieth of the full rate, until
    that is reached and the limit is lifted (Chiu & Jain 1989: this rule converges where others
    swing). It never falls below a twentieth of the full rate: to stop is the throttle's part.
    """

    def __init__(
        self, probe: SearchProbe, ratio: float, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._probe = probe
        self._ratio = ratio
        self._monotonic = monotonic
        self._rate: float | None = None
        self._full = 0.0
        self._documents = 0
        self._judged = 0
        self._since = monotonic()

    def rate(self) -> float | None:
        """Return how many documents a second may be written; None: as many as can be."""
        if self._documents and self._probe.count - self._judged >= _FRESH:
            self._decide()
        return self._rate

    def take(self, documents: int) -> None:
        """Count what was let through: the rate is judged by it."""
        self._documents += documents

    def skip(self) -> None:
        """Forget the time since the last decision: the run was waiting, not writing."""
        self._documents, self._since, self._judged = 0, self._monotonic(), self._probe.count

    def _decide(self) -> None:
        written = self._documents / max(self._monotonic() - self._since, 1e-9)
        slow = self._probe.is_slow(0.95, self._ratio, last=_FRESH)
        self.skip()
        if self._rate is None:
            self._full = max(self._full, written)
        if slow:
            now = written if self._rate is None else min(written, self._rate)
            self._rate = max(now * _SLOWER, self._full * _SLOWEST)
        elif self._rate is not None:
            faster = self._rate + self._full * _FASTER
            self._rate = None if faster > self._full else faster
