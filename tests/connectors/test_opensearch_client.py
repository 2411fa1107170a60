"""What a user reads when a cluster says no, or nothing, or something strange."""

import logging
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from desireline.connectors.errors import (
    AuthenticationError,
    ConnectorError,
    EngineBusyError,
    EngineUnavailableError,
    FloodStageError,
    IndexMissingError,
    MappingConflictError,
    PartialReadError,
    PermissionDeniedError,
    PluginMissingError,
    StateConflictError,
    WriteBlockedError,
)
from desireline.connectors.opensearch_client import Cluster, OpenSearchSettings, path

Answering = Callable[..., Cluster]


def error(kind: str, reason: str, **more: Any) -> dict[str, Any]:
    return {"error": {"type": kind, "reason": reason, "root_cause": [], **more}}


@pytest.mark.parametrize(
    ("status", "body", "family", "words"),
    [
        (401, b"Unauthorized", AuthenticationError, "user and password"),
        (
            403,
            error("security_exception", "no permissions for [indices:data/read/search]"),
            PermissionDeniedError,
            "indices:data/read/search",
        ),
        (
            403,
            error("cluster_block_exception", "index [a] blocked by: [FORBIDDEN/8/index write]"),
            WriteBlockedError,
            "index write",
        ),
        (
            429,
            error(
                "cluster_block_exception",
                "index [a] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage]",
            ),
            FloodStageError,
            "flood-stage",
        ),
        (
            429,
            error("rejected_execution_exception", "rejected execution of coordinating operation"),
            EngineBusyError,
            "too busy",
        ),
        (404, error("index_not_found_exception", "no such index [a]"), IndexMissingError, "[a]"),
        (404, error("resource_not_found_exception", "nothing"), ConnectorError, "nothing"),
        (409, error("version_conflict_engine_exception", "x"), StateConflictError, "changed"),
        (413, b"too large", ConnectorError, "too large"),
        (
            503,
            error("search_phase_execution_exception", "Partial shards failure"),
            PartialReadError,
            "proves nothing",
        ),
        (
            404,
            error(
                "search_phase_execution_exception",
                "all shards failed",
                root_cause=[{"type": "x", "reason": "No search context found for id [1]"}],
            ),
            ConnectorError,
            "No search context",
        ),
        (500, b"boom", EngineUnavailableError, "500"),
        (
            400,
            error("mapper_parsing_exception", "No handler for type [knn_vector] declared"),
            PluginMissingError,
            "k-NN",
        ),
        (
            400,
            error(
                "mapper_parsing_exception", "outer", caused_by={"type": "x", "reason": "inner why"}
            ),
            MappingConflictError,
            "inner why",
        ),
    ],
)
def test_every_refusal_has_its_family_its_place_and_its_reason(
    answering: Answering, status: int, body: object, family: type[ConnectorError], words: str
) -> None:
    cluster = answering(status, body, "application/json")
    with pytest.raises(ConnectorError) as refused:
        cluster.call("PUT", "/products/_mapping", body={}, refused=MappingConflictError)
    assert type(refused.value) is family
    assert words in str(refused.value)
    assert f"{cluster.url}/products/_mapping" in str(refused.value)


def test_what_is_no_opensearch_is_said_to_be_none(answering: Answering) -> None:
    cluster = answering(200, b"<html>Welcome</html>", "application/json")
    with pytest.raises(EngineUnavailableError, match="is not an OpenSearch"):
        cluster.call("GET", "/")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1", "Connection refused"),
        ("http://no-such-host.invalid:9200", "no-such-host"),
    ],
)
def test_no_cluster_is_named_with_its_address(url: str, words: str) -> None:
    with pytest.raises(EngineUnavailableError, match=words) as refused:
        Cluster(OpenSearchSettings(url=url)).call("GET", "/")
    assert url in str(refused.value)
    assert refused.value.next_step


def test_a_node_without_tls_is_no_secure_cluster(answering: Answering) -> None:
    plain = answering(200, {})
    secure = Cluster(OpenSearchSettings(url=plain.url.replace("http:", "https:")))
    with pytest.raises(EngineUnavailableError, match="no secure connection"):
        secure.call("GET", "/")


def test_a_silent_cluster_is_given_up_after_the_timeout() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        cluster = Cluster(OpenSearchSettings(url=url, timeout_s=0.3))
        with pytest.raises(EngineUnavailableError, match=r"within 0\.3 s"):
            cluster.call("GET", "/")


def test_nothing_is_warned_or_logged(
    answering: Answering, caplog: pytest.LogCaptureFixture
) -> None:
    """Bodies hold what users typed, and a deprecated call is not the user's to mend."""
    caplog.set_level(logging.DEBUG, logger="opensearch")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answering(200, {}).call("POST", "/a/_search", body={"query": "secret wish"})
        with pytest.raises(ConnectorError):
            answering(400, {}).call("POST", "/a/_search", body={"query": "secret wish"})
    assert "secret wish" not in caplog.text


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({"user": "me", "password": SecretStr("pw")}, "Basic bWU6cHc="),
        ({"api_key": SecretStr("k3y")}, "ApiKey k3y"),
        ({}, None),
    ],
)
def test_credentials_are_sent_as_configured(
    answering: Answering, settings: dict[str, Any], sent: str | None
) -> None:
    cluster = answering(200, {}, **settings)
    cluster.call("GET", "/")
    headers = {k.lower(): v for k, v in cluster.requests[0].items()}  # type: ignore[attr-defined]
    assert headers.get("authorization") == sent


def test_absence_can_be_asked_for(answering: Answering) -> None:
    assert answering(404, {}).call("GET", "/a", absent_ok=True) is None


@pytest.mark.parametrize("url", ["localhost:9200", "ftp://a", "http://", "http://me:pw@a:9200"])
def test_an_address_that_cannot_be_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValidationError):
        OpenSearchSettings(url=url)


def test_names_and_ids_are_quoted() -> None:
    assert path("products", "_doc", "a/b?c=d é") == "/products/_doc/a%2Fb%3Fc%3Dd%20%C3%A9"
