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
from desireline.sidecar.patience import Patience

log = structlog.get_logger(__name__)

_T = TypeVar("_T")


def persistently(
    work: Callable[[], _T], *, limit_s: float, sleep: Callable[[float], None] = time.sleep
) -> _T:
    """Return what the work returns, begun again as long as nothing but its lease was lost.

    Raises:
        LeaseHeldError: another process has the target now.
        LeaseLostError, EngineUnavailableError, StateUnavailableError: for longer than `limit_s`.

    """
    patience = Patience(limit_s, check=lambda: None, sleep=sleep)
    lost = False
    while True:
        try:
            return work()
        except LeaseLostError as error:
            lost = True
            log.warning("the lease was lost; it is asked for again", reason=str(error))
            patience.pause(error)
        except (EngineUnavailableError, StateUnavailableError) as error:
            if not lost:
                raise
            patience.pause(error)
