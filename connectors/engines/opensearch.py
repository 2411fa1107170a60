"""A cluster as search engine."""

from desireline.connectors.opensearch_client import OpenSearchSettings


class OpenSearchEngine:
    """Skeleton; the methods follow."""

    def __init__(self, settings: OpenSearchSettings) -> None:
        self._settings = settings
