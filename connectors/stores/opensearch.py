"""Records in an index of the cluster, seen by every sidecar on it."""

from desireline.connectors.opensearch_client import OpenSearchSettings


class OpenSearchStore:
    """Skeleton; the methods follow. The index is ``.desireline-<suffix>``."""

    def __init__(self, settings: OpenSearchSettings, suffix: str = "state") -> None:
        self._settings = settings
        self._suffix = suffix
