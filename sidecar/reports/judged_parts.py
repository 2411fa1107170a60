"""The parts that the gate looked at, in the groups that people read them in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Part = TypeVar("Part")

#: Between measure and part, where the general suite stands in the table of measures.
GENERAL = " general, "
_BY_FREQUENCY = "How often a query is searched"
#: Heading, and a piece of the names of its parts; what has none of them is a segment.
_GROUPS = {
    "Query and document in training": " query, ",
    "Newest searches": "newest searches",
    "Topics": "topic ",
    "General ability, against the base encoder": "general suite, ",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartGroup(Generic[Part]):
    """Parts of one kind, by the name people read."""

    title: str
    parts: tuple[tuple[str, Part], ...]


def in_groups(parts: Mapping[str, Part]) -> list[PartGroup[Part]]:
    """Return the parts by kind; a kind without any is left out."""
    by_title: dict[str, list[tuple[str, Part]]] = {title: [] for title in (_BY_FREQUENCY, *_GROUPS)}
    for name, part in parts.items():
        by_title[_title(name)].append((name.removeprefix("general suite, "), part))
    return [
        PartGroup(title=title, parts=tuple(found)) for title, found in by_title.items() if found
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class GainScale:
    """From the lowest loss to the highest gain of all parts, and zero between them."""

    low: float
    high: float

    @classmethod
    def over(cls, bounds: Sequence[float]) -> "GainScale":
        """Hold every bound, and zero with some room on both sides."""
        widest = max((abs(bound) for bound in bounds), default=0.0) or 0.01
        room = 0.05 * widest
        return cls(low=min(0.0, *bounds, 0.0) - room, high=max(0.0, *bounds, 0.0) + room)

    def place(self, gain: float) -> float:
        """Return a place from 0 to 1."""
        return (gain - self.low) / (self.high - self.low)


def _title(name: str) -> str:
    return next((title for title, piece in _GROUPS.items() if piece in name), _BY_FREQUENCY)
