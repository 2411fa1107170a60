"""What each answer to a bulk request means."""

from collections.abc import Callable
from typing import Any

import pytest

from desireline.connectors.documents import Document, Outcome
from desireline.connectors.engines.opensearch_bulk import Line, index_line, send
from desireline.connectors.errors import (
    IndexMissingError,
    PermissionDeniedError,
    WriteBlockedError,
)
from desireline.connectors.opensearch_client import Cluster

Answering = Callable[..., Cluster]


def lines(count: int) -> list[Line]:
    return [index_line(Document(document_id=str(n), fields={"a": n})) for n in range(count)]


def item(status: int, kind: str = "", reason: str = "why") -> dict[str, Any]:
    refused = {"error": {"type": kind, "reason": reason}} if kind else {}
    return {"update": {"status": status, **refused}}


def test_a_busy_node_throttles_every_line_of_the_request(answering: Answering) -> None:
    body = {"error": {"type": "rejected_execution_exception", "reason": "limit reached"}}
    results = list(send(answering(429, body), "products", lines(2)))
    assert [result.outcome for result in results] == [Outcome.THROTTLED] * 2
    assert "limit reached" in results[0].reason


def test_each_line_has_its_own_outcome_and_reason(answering: Answering) -> None:
    items = [
        item(200),
        item(201),
        item(404, "document_missing_exception"),
        item(409, "version_conflict_engine_exception"),
        item(400, "mapper_parsing_exception", "bad vector"),
        item(429, "rejected_execution_exception"),
        item(503, "unavailable_shards_exception"),
        item(500, "anything"),
    ]
    cluster = answering(200, {"errors": True, "items": items})
    results = list(send(cluster, "products", lines(8)))
    assert [result.outcome for result in results] == [
        Outcome.WRITTEN,
        Outcome.WRITTEN,
        Outcome.GONE,
        Outcome.CHANGED,
        Outcome.REJECTED,
        Outcome.THROTTLED,
        Outcome.THROTTLED,
        Outcome.THROTTLED,
    ]
    assert [result.reason for result in results[:2]] == ["", ""]
    assert results[4].reason == "bad vector"


@pytest.mark.parametrize(
    ("refused", "family"),
    [
        (item(403, "cluster_block_exception"), WriteBlockedError),
        (item(429, "cluster_block_exception"), WriteBlockedError),
        (item(403, "security_exception"), PermissionDeniedError),
        (item(404, "index_not_found_exception"), IndexMissingError),
    ],
)
def test_what_no_retry_can_mend_ends_the_writing(
    answering: Answering, refused: dict[str, Any], family: type[Exception]
) -> None:
    cluster = answering(200, {"errors": True, "items": [item(200), refused]})
    with pytest.raises(family, match="why"):
        list(send(cluster, "products", lines(2)))
