"""What OpenSearch means by an error answer, in our words."""

from collections.abc import Mapping
from typing import Any

from desireline.connectors.errors import (
    AuthenticationError,
    ConnectorError,
    EngineBusyError,
    EngineUnavailableError,
    FloodStageError,
    IndexMissingError,
    PartialReadError,
    PermissionDeniedError,
    PluginMissingError,
    StateConflictError,
    WriteBlockedError,
)

_LONGEST_REASON = 300


def refusal(
    status: int | str, info: object, url: str, path: str, refused: type[ConnectorError]
) -> ConnectorError:
    """Return the error that an answer of this status and body stands for.

    A full disk answers 429 as a busy cluster does; only the type of the error tells which.
    """
    kind, reason = cause(info)
    place = f"{url}{path}"
    for family in (_by_type(kind, reason, place), _by_status(status, reason, place)):
        if family is not None:
            return family
    if isinstance(status, int) and status >= 500:  # noqa: PLR2004 - HTTP's server errors
        return EngineUnavailableError(
            f"{place} failed with status {status}: {reason}",
            next_step="look into the log of the cluster; trying again is safe",
        )
    return refused(f"{place} was refused: {reason}; nothing was changed")


def cause(info: object) -> tuple[str, str]:
    """Return the type and the sentence of an error body, from its root where it names one."""
    error = info.get("error", info) if isinstance(info, Mapping) else info
    if not isinstance(error, Mapping):
        return "", _short(error)
    return _type(error), _short(_deepest(error))


def _type(error: Mapping[str, Any]) -> str:
    """Return the type that says what happened, not that it happened during a search."""
    kind, roots = str(error.get("type", "")), error.get("root_cause")
    if kind == "search_phase_execution_exception" and roots:
        return str(roots[0].get("type", ""))
    return kind


def _deepest(error: Mapping[str, Any]) -> object:
    inner = error.get("caused_by")
    if isinstance(inner, Mapping) and inner.get("reason"):
        return _deepest(inner)
    roots = error.get("root_cause")
    if error.get("reason") in {None, "", "all shards failed"} and roots:
        return roots[0].get("reason")
    return error.get("reason") or error.get("type")


def _short(reason: object) -> str:
    text = " ".join(str(reason or "no reason given").split()).rstrip(".")
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"


def blocked(reason: str, place: str) -> WriteBlockedError:
    """Return the error of an index that takes no writes."""
    sentence = f"{place} takes no writes at present: {reason.rstrip(';')}"
    if "/12/disk" in reason:
        return FloodStageError(
            sentence, next_step="free disk on the cluster; the block then goes by itself"
        )
    return WriteBlockedError(
        sentence,
        next_step="remove the block from the index's settings (index.blocks.*), then run again",
    )


def _by_type(kind: str, reason: str, place: str) -> ConnectorError | None:
    if kind == "index_not_found_exception":
        return IndexMissingError(
            f"{place}: {reason}; nothing was changed",
            next_step="create the index, or correct its name in desireline.toml",
        )
    if kind == "cluster_block_exception":
        return blocked(reason, place)
    if kind == "index_closed_exception":
        return WriteBlockedError(
            f"{place}: the index is closed", next_step="open it, then run again"
        )
    if kind == "search_context_missing_exception" or "Partial shards failure" in reason:
        return PartialReadError(
            f"{place}: the read was cut off ({reason}), so what was read proves nothing",
            next_step="run again; it goes on from its last checkpoint",
        )
    if "No handler for type [knn_vector]" in reason or "unknown setting [index.knn" in reason:
        return PluginMissingError(
            f"{place}: the cluster has no k-NN plugin, so it cannot hold vectors",
            next_step="install the opensearch-knn plugin on every node",
        )
    return None


#: By HTTP status: the family, what the request met, and what the user can do.
_STATUSES: Mapping[int, tuple[type[ConnectorError], str, str]] = {
    401: (
        AuthenticationError,
        "does not accept this user and password",
        "check user, password or api_key of the cluster",
    ),
    403: (
        PermissionDeniedError,
        "is not allowed for this user",
        "give the user the missing permission named above",
    ),
    404: (ConnectorError, "does not exist", "check the name"),
    409: (StateConflictError, "changed meanwhile", "read it again and decide anew"),
    413: (
        ConnectorError,
        "refused a request as too large",
        "raise http.max_content_length, or the limit of the proxy before the cluster",
    ),
    429: (EngineBusyError, "is too busy", "try again later"),
}


def _by_status(status: int | str, reason: str, place: str) -> ConnectorError | None:
    if not isinstance(status, int) or status not in _STATUSES:
        return None
    family, met, next_step = _STATUSES[status]
    return family(f"{place} {met}: {reason}; nothing was changed", next_step=next_step)
