"""A cluster that answers as the test says, to meet what a well node never says."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from desireline.connectors.opensearch_client import Cluster, OpenSearchSettings

Answering = Callable[..., Cluster]


@pytest.fixture
def answering() -> Iterator[Answering]:
    """Give a cluster of one status and one body for all, or a body by the path."""
    servers = []

    def start(status: int, body: object, kind: str = "application/json", **more: Any) -> Cluster:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(dict(self.headers))  # type: ignore[attr-defined]
                said = body(self.path) if callable(body) else body
                data = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(data)))
                self.send_header("warning", '299 OpenSearch-3.5.0 "this is deprecated"')
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_PUT = do_GET  # noqa: N815 - named by http.server

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.requests = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        cluster = Cluster(OpenSearchSettings(url=url, **more))
        servers.append((server, cluster))
        cluster.requests = server.requests  # type: ignore[attr-defined]
        return cluster

    yield start
    for server, cluster in servers:
        cluster.close()
        server.shutdown()
        server.server_close()
