"""What can go wrong while the wheel turns."""

from desireline.connectors.errors import DesirelineError


class SidecarError(DesirelineError):
    """The sidecar could not do this."""


class TargetUnknownError(SidecarError):
    """No target of this name is configured."""


class NoGenerationError(SidecarError):
    """No generation serves this target yet."""


class LeaseHeldError(SidecarError):
    """Another process owns this target at present."""


class LeaseLostError(SidecarError):
    """The target is owned by another process now; this one has stopped writing."""


class LeaseSilentError(LeaseLostError):
    """The lease could not be renewed for long; nobody is known to have taken it yet."""


class CutOverRefusedError(SidecarError):
    """A generation may not go live; what serves is unchanged."""


class RevertRefusedError(SidecarError):
    """There is no generation to go back to; what serves is unchanged."""


class HoldError(SidecarError):
    """The slot that is needed still holds the generation one could revert to."""


class BackfillError(SidecarError):
    """A generation could not be built; what serves is unchanged."""


class WorkerError(SidecarError):
    """The child process failed; what serves is unchanged."""
