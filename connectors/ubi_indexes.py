"""The two indexes of User Behavior Insights, for trials where the plugin does not make them."""

from desireline.connectors.errors import ConnectorError
from desireline.connectors.opensearch_client import Cluster, OpenSearchSettings, path

_KEYWORD = {"type": "keyword"}
#: As the plugin maps them: the root of queries takes no other field, that of events does.
_QUERIES = {
    "dynamic": False,
    "properties": {
        "timestamp": {"type": "date"},
        "query_id": _KEYWORD,
        "query": {"type": "text"},
        "query_response_id": _KEYWORD,
        "query_response_hit_ids": _KEYWORD,
        "user_query": _KEYWORD,
        "query_attributes": {"type": "flat_object"},
        "client_id": _KEYWORD,
        "application": _KEYWORD,
    },
}
_EVENTS = {
    "properties": {
        "application": _KEYWORD,
        "action_name": _KEYWORD,
        "client_id": _KEYWORD,
        "query_id": _KEYWORD,
        "user_query": _KEYWORD,
        "timestamp": {"type": "date", "ignore_malformed": True},
        "event_attributes": {
            "dynamic": True,
            "properties": {
                "position": {"properties": {"ordinal": {"type": "integer"}}},
                "object": {"properties": {"object_id": _KEYWORD, "object_id_field": _KEYWORD}},
            },
        },
    }
}
_SETTINGS = {"number_of_shards": 1, "auto_expand_replicas": "0-2"}


class UbiIndexes:
    """Creates and fills the indexes of one trial; drops those of a former one."""

    def __init__(self, settings: OpenSearchSettings, *, queries: str, events: str) -> None:
        self._cluster = Cluster(settings)
        self._mappings = {queries: _QUERIES, events: _EVENTS}

    def create(self) -> None:
        """Drop and create both."""
        for index, mappings in self._mappings.items():
            self._cluster.call("DELETE", path(index), absent_ok=True)
            body = {"settings": _SETTINGS, "mappings": mappings}
            self._cluster.call("PUT", path(index), body=body)

    def load(self, lines: bytes) -> None:
        """Send lines as `POST _bulk` takes them. Raises ConnectorError if any is refused."""
        answer = self._cluster.call("POST", "/_bulk", body=lines)
        if answer["errors"]:
            refused = next(
                item["index"]["error"]["reason"]
                for item in answer["items"]
                if "error" in item["index"]
            )
            raise ConnectorError(
                f"the cluster refused a record of the trial's click log: {refused}"
            )

    def drop(self) -> None:
        """Delete both."""
        for index in self._mappings:
            self._cluster.call("DELETE", path(index), absent_ok=True)

    def close(self) -> None:
        """Release the connections."""
        self._cluster.close()
