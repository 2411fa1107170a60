"""Port: a click log read forward from a cursor."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from desireline.connectors.events import Action, Impression, Query


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a pull ended; opaque to all but the source that made it."""

    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBatch:
    """Some events and the cursor to go on from once they are safe."""

    cursor: Cursor
    queries: tuple[Query, ...] = ()
    impressions: tuple[Impression, ...] = ()
    actions: tuple[Action, ...] = ()
    #: Defects met, by name, with how many events had each: `{"action without query": 12}`.
    defects: dict[str, int] = field(default_factory=dict)


class LogSource(Protocol):
    """A click log. Batches are bounded; events come in no promised order."""

    def pull(self, since: Cursor | None = None) -> Iterator[LogBatch]:
        """Yield what the log holds after `since` (from the start of its window if None).

        Raises:
            LogFormatError: a record cannot be read as configured.
            EngineUnavailableError, AuthenticationError, IndexMissingError: as they say.

        """
        ...
