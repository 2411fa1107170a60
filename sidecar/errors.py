"""What can go wrong while the wheel turns."""

from desireline.connectors.errors import DesirelineError


class SidecarError(DesirelineError):
    """The sidecar could not do this."""


class ArchiveBrokenError(SidecarError):
    """Pulled events that were kept on disk cannot be read."""


class TargetUnknownError(SidecarError):
    """No target of this name is configured."""


class EncoderUnknownError(SidecarError):
    """No encoder of this name is registered; nothing was begun."""


class NoGenerationError(SidecarError):
    """No generation serves this target yet."""


class IntentError(SidecarError):
    """What queries mean cannot be learned or told; searches are answered without it."""


class LeaseHeldError(SidecarError):
    """Another process owns this target at present."""


class LeaseLostError(SidecarError):
    """The target is owned by another process now; this one has stopped writing."""

    def __init__(self, message: str, *, fencing: int = 0, next_step: str = "") -> None:
        super().__init__(message, next_step=next_step)
        #: The number of the lease that was lost.
        self.fencing = fencing


class CutOverRefusedError(SidecarError):
    """A generation may not go live; what serves is unchanged."""


class RevertRefusedError(SidecarError):
    """There is no generation to go back to; what serves is unchanged."""


class GivenAwayError(SidecarError):
    """A slot was given away while a round for it was under way; the next round knows."""


class HoldError(SidecarError):
    """The slot that is needed still holds the generation one could revert to."""


class BackfillError(SidecarError):
    """A generation could not be built; what serves is unchanged."""


class PauseTooLongError(SidecarError):
    """Writes would have waited too long for the swap; they were let in again."""


class RunCancelledError(SidecarError):
    """The operator gave a re-embedding up; what serves is unchanged."""


class WorkerError(SidecarError):
    """The child process failed; what serves is unchanged."""


class HookFailedError(SidecarError):
    """A program or webhook of the operator did not agree."""


class HookRefusedError(SidecarError):
    """A hook stopped what it guards; what serves is unchanged."""


class NothingNamedError(SidecarError):
    """It was not said what to erase; nothing was erased."""


class NotErasedError(SidecarError):
    """Something was found again after it was removed."""
