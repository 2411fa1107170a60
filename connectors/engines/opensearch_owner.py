"""The owner of an index on a cluster, played by the demo, the trials and the tests."""

from collections.abc import Iterable, Mapping, Sequence

from desireline.connectors.documents import Document, Outcome
from desireline.connectors.engines.opensearch_bulk import Line, delete_line, index_line, send
from desireline.connectors.errors import ConnectorError
from desireline.connectors.opensearch_client import Cluster, path

#: An update of the application may meet one of ours; it is then done again on what it finds.
_RETRIES = "5"


class OpenSearchOwner:
    """An Application on a cluster."""

    def __init__(self, cluster: Cluster, *, visible_at_once: bool) -> None:
        self._cluster = cluster
        self._params = {"refresh": "true"} if visible_at_once else {}

    def create_index(self, index: str, text_fields: Sequence[str]) -> None:
        """Create an index that can hold vectors."""
        settings = {"index.knn": True, "number_of_shards": 1, "auto_expand_replicas": "0-1"}
        properties = {name: {"type": "text"} for name in text_fields}
        body = {"settings": settings, "mappings": {"properties": properties}}
        self._cluster.call("PUT", path(index), body=body)

    def index_documents(self, index: str, documents: Sequence[Document]) -> None:
        """Write whole documents, as an application does: slots are not carried over."""
        self._bulk(index, map(index_line, documents), done={Outcome.WRITTEN})

    def update_fields(self, index: str, document_id: str, fields: Mapping[str, object]) -> None:
        """Change some fields of one document and leave the rest, slots included."""
        self._cluster.call(
            "POST",
            path(index, "_update", document_id),
            params={"retry_on_conflict": _RETRIES, **self._params},
            body={"doc": dict(fields)},
        )

    def delete_documents(self, index: str, document_ids: Sequence[str]) -> None:
        """Delete documents; those that are not there are passed over."""
        lines = map(delete_line, document_ids)
        self._bulk(index, lines, done={Outcome.WRITTEN, Outcome.GONE})

    def drop_index(self, index: str) -> None:
        """Delete the index; no error if it is missing."""
        self._cluster.call("DELETE", path(index), absent_ok=True)

    def _bulk(self, index: str, lines: Iterable[Line], done: set[Outcome]) -> None:
        results = list(send(self._cluster, index, lines, self._params))
        failed = [result for result in results if result.outcome not in done]
        if failed:
            raise ConnectorError(
                f"{index}: {len(failed)} of {len(results)} writes failed, the first "
                f"({failed[0].document_id!r}): {failed[0].reason}; the others were carried out"
            )
