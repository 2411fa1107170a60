"""Work that lost its lease because the cluster was away is begun again when the cluster is back.

A lease that could not be renewed is lost for good, whoever asks: its number is spent. The work
takes a new one, with a higher number, and goes on where it stopped. Where another process has
taken the target meanwhile, that one goes on.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from desireline.connectors.errors import EngineUnavailableError, StateUnavailableError
from desireline.sidecar.errors import LeaseLostError
from desireline.sidecar.writing.patience import Patience

log = structlog.get_logger(__name__)

_T = TypeVar("_T")


def persistently(
    work: Callable[[], _T],
    *,
    last_owner: Callable[[], int],
    limit_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> _T:
    """Return what the work returns, begun again as long as nothing but its lease was lost.

    Args:
        work: takes the lease itself, and resumes.
        last_owner: fencing number of the target's last owner. What another process took over is
            not begun again, even if that one has finished: the work may be done by now.
        limit_s: the longest it waits.
        sleep: how it waits.

    Raises:
        LeaseHeldError: another process has the target now.
        LeaseLostError: another process had it meanwhile, or patience is spent.
        EngineUnavailableError, StateUnavailableError: at once, or, once the lease was lost, for
            longer than `limit_s`.

    """
    patience = Patience(limit_s, check=lambda: None, sleep=sleep)
    lost: LeaseLostError | None = None
    while True:
        try:
            if lost is not None and last_owner() > lost.fencing:
                break
            return work()
        except LeaseLostError as error:
            lost = error
            log.warning("the lease was lost; it is asked for again", reason=str(error))
            patience.pause(error)
        except (EngineUnavailableError, StateUnavailableError) as error:
            if lost is None:
                raise
            patience.pause(error)
    raise lost
