"""One re-embedding under way: whose it is, who is told, and what may hold it up."""

from dataclasses import dataclass

from desireline.sidecar.controls import Controls
from desireline.sidecar.hooks import Hooks
from desireline.sidecar.lease import Lease
from desireline.sidecar.reporting import Reporter
from desireline.sidecar.target import Target
from desireline.sidecar.throttle import Throttle


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What every stage of a re-embedding is given."""

    target: Target
    lease: Lease
    reporter: Reporter
    throttle: Throttle
    controls: Controls
    hooks: Hooks
