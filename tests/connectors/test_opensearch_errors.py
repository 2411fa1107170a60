"""What a cluster's error answers mean, as they were seen on a real one."""

from desireline.connectors.errors import ConnectorError, PartialReadError
from desireline.connectors.opensearch_errors import refusal


def test_a_snapshot_that_was_lost_is_a_read_that_proves_nothing() -> None:
    """As answered by 3.5.0 with status 404; taken for a missing path, it would be told wrongly."""
    cause = {"type": "search_context_missing_exception", "reason": "No search context found for id"}
    body = {
        "error": {
            "root_cause": [cause],
            "type": "search_phase_execution_exception",
            "reason": "all shards failed",
        }
    }
    error = refusal(404, body, "http://node", "/_search", ConnectorError)
    assert isinstance(error, PartialReadError)
    assert "No search context found" in str(error)
