"""When the time is spent."""

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """A moment of a clock after which no further piece is begun."""

    clock: Callable[[], float]
    #: None: there is all the time in the world.
    at: float | None

    @classmethod
    def after(cls, seconds: float | None, clock: Callable[[], float]) -> "Deadline":
        """Return the deadline of a budget that counts from now."""
        return cls(clock=clock, at=None if seconds is None else clock() + seconds)

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return self.at is not None and self.clock() >= self.at

    def halfway(self) -> "Deadline":
        """Return the deadline of a first part that may take half of what is left."""
        if self.at is None:
            return self
        now = self.clock()
        return replace(self, at=now + max(0.0, self.at - now) / 2)
