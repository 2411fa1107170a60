"""Time to the right, by tens: where a cost lies on a plot, the same in a terminal and a page."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import log10

_MARKS = (
    (0.000_1, "0.1 ms"),
    (0.001, "1 ms"),
    (0.01, "10 ms"),
    (0.1, "100 ms"),
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
    """From the cheapest that matters to somewhat more than the dearest, in seconds."""

    end: float
    #: Less than `end`.
    start: float = 1.0

    @classmethod
    def over(cls, costs: Iterable[float]) -> "CostScale":
        """Hold every cost, and at least ten seconds."""
        return cls(end=max(10.0, *costs) * 1.6)

    @classmethod
    def of_queries(cls, seconds: Iterable[float]) -> "CostScale":
        """Hold what a query takes, from a tenth of a millisecond to ten of them at least."""
        return cls(start=0.000_1, end=max(0.01, *seconds) * 1.6)

    def place(self, seconds: float) -> float:
        """Return a place from 0 to 1; what is cheaper than the start lies at 0."""
        return min(1.0, log10(max(seconds, self.start) / self.start) / log10(self.end / self.start))

    def marks(self) -> list[tuple[float, str]]:
        """Return the places worth a name."""
        return [
            (self.place(seconds), name)
            for seconds, name in _MARKS
            if self.start <= seconds < self.end
        ]
