"""Measures what a throttle decides by, in the background, while a run goes on.

It keeps the newest figures; whoever reads them sends no request. When it falls silent the figures
grow old, and old figures are a reason to wait like any other.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from desireline.connectors.engine_load import EngineLoad
from desireline.connectors.errors import ConnectorError, DesirelineError
from desireline.sidecar.throttling.search_probe import SearchProbe

_PROBES_A_LOOK = 3
#: Looks that may be missed, and the least time, before what was measured counts no more.
_MISSED = 5
_SILENCE_S = 10.0


class LoadWatch:
    """The newest load of an engine, the searches that were asked, and what an address answered."""

    def __init__(
        self,
        *,
        measure: Callable[[], EngineLoad] | None = None,
        probe: SearchProbe | None = None,
        ask: Callable[[], None] | None = None,
        every_s: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        #: None: this engine cannot be measured.
        self._measure = measure
        self.probe = probe
        #: Why searches that are there cannot be probed; empty when they are, or there are none.
        self.unprobed = ""
        #: Raises DesirelineError when the configured address does not answer 2xx.
        self._ask = ask
        self._every_s = every_s
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self.load: EngineLoad | None = None
        #: Looks at the load that were answered; a counter rises between two of them.
        self.looks = 0
        #: Why the newest load is not known; empty when it is.
        self.failure = ""
        #: Why the configured address does not let us write; empty when it does.
        self.refusal = ""

    def look(self) -> None:
        """Measure everything once."""
        self._look_at_load()
        self._look_at_searches()
        self._look_at_address()
        self._looked_at = self._monotonic()

    @property
    def has_work(self) -> bool:
        """Say whether there is anything to measure at all."""
        return any(part is not None for part in (self._measure, self.probe, self._ask))

    def silent_s(self) -> float:
        """Return the age of the figures once they are too old to count, else 0."""
        if not self.has_work:
            return 0.0
        age = self._monotonic() - self._looked_at
        return age if age > max(_SILENCE_S, _MISSED * self._every_s) else 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look now, and then every so often in the background until the block ends."""
        self.look()
        if not self.has_work:
            yield
            return
        stop = threading.Event()
        watcher = threading.Thread(
            target=self._look_until, args=(stop,), name="load watch", daemon=True
        )
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()

    def _look_until(self, stop: threading.Event) -> None:
        while not stop.wait(self._every_s):
            self.look()

    def _look_at_load(self) -> None:
        if self._measure is None:
            return
        try:
            self.load = self._measure()
        except ConnectorError as error:
            self.failure = str(error)
            return
        self.looks += 1
        self.failure = ""

    def _look_at_searches(self) -> None:
        if self.probe is not None:
            for _ in range(_PROBES_A_LOOK):
                self.probe.ask()

    def _look_at_address(self) -> None:
        if self._ask is None:
            return
        try:
            self._ask()
        except DesirelineError as error:
            self.refusal = str(error)
        else:
            self.refusal = ""
