"""Port: a search engine that can be asked, by trying, whether slots could be written in place.

What a role may do, what a plugin intercepts and what a pipeline rewrites is tried, not guessed:
the one write that is sent is guarded by a version that no document has, so it always loses.
"""

from typing import Protocol, runtime_checkable

from desireline.connectors.search_engine import Slot


@runtime_checkable
class WriteTrial(Protocol):
    """What a plan asks of an engine that others administer."""

    def write_obstacles(self, index: str, slot: Slot) -> tuple[str, ...]:
        """Say why the slot could not be written or would not stay so; empty when it would.

        Changes nothing. May raise a ConnectorError.
        """
        ...
