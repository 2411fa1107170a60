"""Keeps the live slot and, during the hold, the retained one fresh.

Application writes become vectors within one round. Restarting costs nothing: the fence of
each generation is in its record.
"""

import threading
import time
from collections.abc import Callable
from datetime import datetime

import structlog

from desireline.connectors.errors import DesirelineError
from desireline.connectors.search_engine import SearchEngine
from desireline.sidecar.catchup import catch_up
from desireline.sidecar.embedding_writer import EmbeddingWriter
from desireline.sidecar.generations import Generation, Generations, State
from desireline.sidecar.lease import Lease

log = structlog.get_logger(__name__)

WriterFor = Callable[[Generation, Lease], EmbeddingWriter]


class Follower:
    """Follows the application's writes on one target."""

    def __init__(
        self,
        *,
        engine: SearchEngine,
        generations: Generations,
        writer_for: WriterFor,
        clock: Callable[[], datetime],
        caught_up: Callable[[str, int, float], None],
    ) -> None:
        self._engine = engine
        self._generations = generations
        self._writer_for = writer_for
        self._clock = clock
        #: Told target, refreshed slots and how old a write may be that is not embedded yet.
        self._caught_up = caught_up
        self._fresh_as_of = time.monotonic()

    def follow_once(self, lease: Lease) -> int:
        """Bring live and retained slots up to now; return how many were refreshed."""
        began = time.monotonic()
        generations = self._generations.reconcile(self._clock())
        followed = [g for g in generations if g.state in {State.LIVE, State.RETAINED}]
        refreshed = sum(self._follow(generation, lease) for generation in followed)
        self._fresh_as_of = began
        self._tell(refreshed)
        return refreshed

    def run(self, lease: Lease, stop: threading.Event, *, every_s: float) -> None:
        """Follow until told to stop; a failing round is logged and tried again."""
        delay_s = every_s
        while not stop.wait(delay_s):
            lease.check()
            try:
                self.follow_once(lease)
                delay_s = every_s
            except DesirelineError as error:
                delay_s = min(delay_s * 2, 60.0)
                self._tell(0)
                log.warning(
                    "follower round failed; it will be tried again",
                    target=self._generations.target,
                    reason=str(error),
                    in_s=delay_s,
                )

    def _tell(self, refreshed: int) -> None:
        age_s = time.monotonic() - self._fresh_as_of
        self._caught_up(self._generations.target, refreshed, age_s)

    def _follow(self, generation: Generation, lease: Lease) -> int:
        writer = self._writer_for(generation, lease)
        round_ = catch_up(self._engine, generation.index, generation.fence, [writer])
        fence = round_.fence.to_json()
        if fence != generation.caught_up:
            self._generations.change(generation, caught_up=fence)
        return round_.refreshed
