"""Whether a run may write now. It decides from what others measured; any reason wins."""

import time
from collections.abc import Callable, Sequence

from desireline.sidecar.lease import Lease

Check = Callable[[], str | None]
"""Returns the reason, in words, why no write may be sent now; None when it may."""


class Throttle:
    """Asked before every batch of a run."""

    def __init__(
        self,
        checks: Sequence[Check],
        *,
        told: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._checks = tuple(checks)
        #: Told each new reason once, and the empty string when writing goes on.
        self._told = told
        self._sleep = sleep

    def reasons(self) -> tuple[str, ...]:
        """Every reason that holds now."""
        return tuple(reason for check in self._checks if (reason := check()))

    def wait(self, lease: Lease, documents: int) -> None:
        """Return when nothing speaks against writing so many documents.

        Raises:
            LeaseLostError: another process took the target while this one waited.

        """
        said = ""
        while reasons := self.reasons():
            if reasons[0] != said:
                said = reasons[0]
                self._told(said)
            self._sleep(1.0)
            lease.check()
        if said:
            self._told("")
