"""Seconds to the right, by tens: where a cost lies on a plot, the same in a terminal and a page."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import log10

_MARKS = (
    (1, "1 s"),
    (10, "10 s"),
    (60, "1 min"),
    (600, "10 min"),
    (3_600, "1 h"),
    (36_000, "10 h"),
    (864_000, "10 d"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostScale:
    """From one second to somewhat more than the dearest."""

    #: In seconds; more than 1.
    end: float

    @classmethod
    def over(cls, costs: Iterable[float]) -> "CostScale":
        """Hold every cost, and at least ten seconds."""
        return cls(end=max(10.0, *costs) * 1.6)

    def place(self, seconds: float) -> float:
        """Return a place from 0 to 1; what is cheaper than a second lies at 0."""
        return min(1.0, log10(max(seconds, 1.0)) / log10(self.end))

    def marks(self) -> list[tuple[float, str]]:
        """Return the places worth a name."""
        return [(self.place(seconds), name) for seconds, name in _MARKS if seconds < self.end]
