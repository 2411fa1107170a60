"""Writes handed to an engine until each has an outcome, at the pace the engine can take."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from desireline.connectors.documents import Outcome, WriteResult
from desireline.connectors.errors import EngineBusyError, EngineUnavailableError, FloodStageError
from desireline.sidecar.writing.patience import Patience


class Write(Protocol):
    """Anything that writes one document."""

    @property
    def document_id(self) -> str:
        """Whose."""
        ...


_W = TypeVar("_W", bound=Write)


def deliver(
    send: Callable[[Sequence[_W]], Sequence[WriteResult]],
    writes: Sequence[_W],
    patience: Patience,
) -> list[WriteResult]:
    """Return the outcome of each write in order; none of them is THROTTLED.

    What the engine turns away is sent again in smaller batches. A batch that got no answer is
    sent again whole: a write of ours may arrive twice, since the first one moves its guard.

    Raises:
        EngineUnavailableError, FloodStageError: patience is spent. What was written is kept.

    """
    outcomes: list[WriteResult | None] = [None] * len(writes)
    left = list(range(len(writes)))
    size = max(1, len(writes))
    while left:
        batch, left = left[:size], left[size:]
        turned_away, error = _send(send, writes, batch, outcomes)
        left = turned_away + left
        if error is None:
            size = min(size * 2, len(writes))
        else:
            size = max(1, size // 2)
            patience.pause(error)
    patience.go_on()
    return [outcome for outcome in outcomes if outcome is not None]


def _send(
    send: Callable[[Sequence[_W]], Sequence[WriteResult]],
    writes: Sequence[_W],
    batch: list[int],
    outcomes: list[WriteResult | None],
) -> tuple[list[int], EngineUnavailableError | FloodStageError | None]:
    """Send one batch; return the rows to be sent again and why."""
    try:
        results = send([writes[row] for row in batch])
    except (EngineUnavailableError, FloodStageError) as error:
        return batch, error
    turned_away: list[int] = []
    reason = ""
    for row, result in zip(batch, results, strict=True):
        if result.outcome is Outcome.THROTTLED:
            turned_away.append(row)
            reason = result.reason
        else:
            outcomes[row] = result
    if not turned_away:
        return [], None
    return turned_away, EngineBusyError(
        f"the search engine is too busy and turned {len(turned_away)} of {len(batch)} writes away:"
        f" {reason}; every document so far keeps what was written",
        next_step="run the command again later: it resumes",
    )
