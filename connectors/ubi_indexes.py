"""The two indexes of User Behavior Insights, for trials where the plugin does not make them."""

from desireline.connectors.errors import ConnectorError
from desireline.connectors.opensearch_client import Cluster, OpenSearchSettings, path

_KEYWORD = {"type": "keyword"}
_TEXT = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
_INTEGER = {"type": "integer"}
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
_POSITION = {
    **dict.fromkeys(("ordinal", "x", "y", "page_depth", "scroll_depth"), _INTEGER),
    "trail": _TEXT,
}
_EVENTS = {
    "properties": {
        "application": _KEYWORD,
        "action_name": _KEYWORD,
        "client_id": _KEYWORD,
        "query_id": _KEYWORD,
        "message": _KEYWORD,
        "message_type": _KEYWORD,
        "user_query": _KEYWORD,
        "timestamp": {"type": "date", "ignore_malformed": True},
        "event_attributes": {
            "dynamic": True,
            "properties": {
                "position": {"properties": _POSITION},
                "object": {
                    "properties": {
                        "internal_id": _KEYWORD,
                        "object_id": _KEYWORD,
                        "object_id_field": _KEYWORD,
                        "name": _KEYWORD,
                        "description": _TEXT,
                        "object_detail": {"type": "object"},
                    }
                },
            },
        },
    }
}
#: Logs of UBI 1.2 have `ordinal: {index: 3}`, which the plugin's mapping would refuse.
_FREE_ORDINAL = {
    "properties": {
        **_EVENTS["properties"],
        "event_attributes": {"dynamic": True, "type": "object"},
    }
}
_SETTINGS = {"number_of_shards": 1, "auto_expand_replicas": "0-2"}


class UbiIndexes:
    """Creates and fills the indexes of one trial; drops those of a former one."""

    def __init__(
        self,
        settings: OpenSearchSettings,
        *,
        queries: str,
        events: str,
        ordinal_is_object: bool = False,
    ) -> None:
        self._cluster = Cluster(settings)
        of_events = _FREE_ORDINAL if ordinal_is_object else _EVENTS
        self._mappings = {queries: _QUERIES, events: of_events}

    def not_of(self, application: str) -> int:
        """Count the records that do not name the application; 0 where an index is absent."""
        body = {"query": {"bool": {"must_not": [{"term": {"application": application}}]}}}
        found = 0
        for index in self._mappings:
            if self._cluster.call("POST", path(index, "_refresh"), absent_ok=True) is not None:
                found += self._cluster.call("POST", path(index, "_count"), body=body)["count"]
        return found

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
