"""Fixtures every test may use: one real OpenSearch for the session, a prefix for each test."""

import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from desireline.connectors.errors import EngineUnavailableError
from desireline.sidecar.demo.opensearch_node import acquire_node


@pytest.fixture(scope="session")
def opensearch_url() -> Iterator[str]:
    """Address of a real node, the same for the whole session.

    CI must have one; elsewhere the tests that need it are skipped with the reason.
    """
    java_home = os.environ.get("OPENSEARCH_JAVA_HOME")
    try:
        node = acquire_node(
            os.environ.get("OPENSEARCH_URL"), java_home=Path(java_home) if java_home else None
        )
    except EngineUnavailableError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no OpenSearch: {error}")
    yield node.url
    node.close()


@pytest.fixture
def index_prefix(opensearch_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give a prefix no other test has; every index that starts with it is dropped afterwards."""
    word = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:30]
    prefix = f"t-{uuid.uuid4().hex[:8]}-{word}-"
    yield prefix
    client = OpenSearch(opensearch_url, timeout=30)
    for name in client.indices.get(index=f"*{prefix}*", expand_wildcards="all"):
        client.indices.delete(index=name)
    client.close()
