"""Work beside a server: at most one piece at a time on each target."""

import threading
from collections.abc import Callable

import structlog

from desireline.connectors.errors import DesirelineError

log = structlog.get_logger(__name__)


class Background:
    """Threads by target; a failure is logged and told when asked, for nobody waits for it."""

    def __init__(self) -> None:
        self._running: dict[str, threading.Thread] = {}
        self._failed: dict[str, str] = {}
        self._lock = threading.Lock()

    def begin(self, target: str, work: Callable[[], object]) -> bool:
        """Begin the work, unless something works on the target here already."""
        with self._lock:
            running = self._running.get(target)
            if running is not None and running.is_alive():
                return False
            self._failed.pop(target, None)
            thread = threading.Thread(
                target=self._logged, args=(target, work), name=f"work on {target}", daemon=True
            )
            self._running[target] = thread
            thread.start()
            return True

    def busy(self, target: str) -> bool:
        """Whether something works on the target here."""
        running = self._running.get(target)
        return running is not None and running.is_alive()

    def failed(self, target: str) -> str:
        """Why the work begun last failed; empty while it runs and where it did not."""
        return self._failed.get(target, "")

    def _logged(self, target: str, work: Callable[[], object]) -> None:
        try:
            work()
        except DesirelineError as error:
            self._failed[target] = str(error)
            log.warning("work in the background failed", target=target, reason=str(error))
