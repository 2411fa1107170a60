"""One root error, families by cause; a message says what happened and what is still safe."""


class DesirelineError(Exception):
    """Something went wrong in desireline."""

    #: What the user can do next, printed below the message; empty when the message says it.
    next_step: str = ""

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        if next_step:
            self.next_step = next_step


class ConnectorError(DesirelineError):
    """The outside world said no."""


class EngineUnavailableError(ConnectorError):
    """The search engine did not answer."""


class EngineBusyError(EngineUnavailableError):
    """The search engine turned the request away because it is too busy; try again later."""


class AuthenticationError(ConnectorError):
    """The search engine does not know this user or password."""


class PermissionDeniedError(ConnectorError):
    """The search engine knows this user, who may not do this."""


class IndexMissingError(ConnectorError):
    """The index or alias does not exist."""


class FieldMissingError(ConnectorError):
    """A field named in the configuration is not in the mapping."""


class MappingConflictError(ConnectorError):
    """The index cannot hold this slot: wrong type, dimension, method or setting."""


class PluginMissingError(ConnectorError):
    """The search engine lacks a plugin, or this installation lacks an extra."""


class SharedFolderError(ConnectorError):
    """A folder that machines share could not be reached or written."""


class WriteBlockedError(ConnectorError):
    """The index takes no writes at present (a block, a full disk)."""


class FloodStageError(WriteBlockedError):
    """A disk is at its flood stage; the block goes by itself when some of it is freed."""


class PartialReadError(ConnectorError):
    """A read did not cover every shard, so it proves nothing."""


class StateConflictError(ConnectorError):
    """A record changed between our read and our write; nothing was written."""


class StateUnavailableError(ConnectorError):
    """The state store cannot be read or written at present."""


class LogFormatError(ConnectorError):
    """A click log cannot be read as configured."""


class JudgmentFormatError(ConnectorError):
    """Judgments or a query set cannot be read as search-relevance writes them."""
