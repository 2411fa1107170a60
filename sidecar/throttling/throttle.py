"""Whether a run may write now. It decides from what others measured; any reason wins.

As in gh-ost, deciding and measuring are apart: a check reads a figure that somebody else keeps up
to date and answers with a sentence or with nothing, so asking costs no request.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from desireline.connectors.errors import ConnectorError
from desireline.sidecar.errors import RunCancelledError
from desireline.sidecar.lease import Lease
from desireline.sidecar.steering.controls import Control
from desireline.sidecar.throttling.pace import GentlePace, Pace

Check = Callable[[], str | None]
"""Returns the reason, in words, why no write may be sent now; None when it may."""

#: How long the longest look away lasts: the end of every cause is seen within a second.
_LOOK_S = 0.5
_OPERATOR = -1


class Throttle:
    """Asked before every batch of a run."""

    def __init__(
        self,
        checks: Sequence[Check],
        *,
        told: Callable[[str], None],
        control: Callable[[], Control] = Control,
        documents_a_second: float | None = None,
        gentle: GentlePace | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = tuple(checks)
        #: Told the reasons once whenever others hold, and the empty string when writing goes on.
        self._told = told
        #: What the operator wants now; read before every batch.
        self._control = control
        self._fastest = documents_a_second
        self._gentle = gentle
        self._sleep = sleep
        self._pace = Pace(monotonic=monotonic)
        self._said: frozenset[int] = frozenset()
        #: Documents let through so far.
        self.documents = 0

    def reasons(self) -> tuple[str, ...]:
        """Every reason that holds now."""
        return tuple(self._holding(self._wishes()).values())

    def documents_a_second(self) -> float | None:
        """Return the rate that holds now; None: as fast as can be."""
        wishes = self._wishes()
        return None if isinstance(wishes, str) else self._rate(wishes)

    def wait(self, lease: Lease, documents: int) -> None:
        """Return when nothing speaks against writing so many documents.

        Raises:
            LeaseLostError: another process took the target while this one waited.
            RunCancelledError: the operator gave the run up.

        """
        while pause_s := self._pause_s():
            self._sleep(pause_s)
            lease.check()
        self.documents += documents
        self._pace.take(documents)
        if self._gentle is not None:
            self._gentle.take(documents)

    def _pause_s(self) -> float:
        wishes = self._wishes()
        holding = self._holding(wishes)
        self._tell(holding)
        if holding or isinstance(wishes, str):
            if self._gentle is not None:
                self._gentle.skip()
            return _LOOK_S
        return min(self._pace.due_s(self._rate(wishes)), _LOOK_S)

    def _holding(self, wishes: Control | str) -> dict[int, str]:
        """Return the reasons by the number of their check: a figure may change, a cause stays."""
        said = ((number, check()) for number, check in enumerate(self._checks))
        reasons = {number: reason for number, reason in said if reason}
        if isinstance(wishes, str):
            return {_OPERATOR: wishes, **reasons}
        if wishes.paused:
            mark = wishes.marks.get("paused", "by the operator")
            return {_OPERATOR: f"the run was paused {mark}", **reasons}
        return reasons

    def _tell(self, holding: Mapping[int, str]) -> None:
        if holding.keys() != self._said:
            self._said = frozenset(holding)
            self._told("; ".join(holding.values()))

    def _wishes(self) -> Control | str:
        """Return what the operator wants, or why that is not known: then nothing is written."""
        try:
            wishes = self._control()
        except ConnectorError as error:
            return f"what the operator wants cannot be read: {error}"
        if wishes.cancelled:
            raise RunCancelledError(
                "the operator cancelled the run; nothing more was written and what serves is"
                " unchanged"
            )
        return wishes

    def _rate(self, wishes: Control) -> float | None:
        found = self._gentle.rate() if self._gentle is not None else None
        rates = (self._fastest, wishes.documents_a_second, found)
        return min((rate for rate in rates if rate is not None), default=None)
