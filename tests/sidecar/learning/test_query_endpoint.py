"""Queries from an endpoint that speaks as OpenAI's does, or does not."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from desireline.sidecar.configuration.tune import TuneConfig
from desireline.sidecar.errors import SidecarError
from desireline.sidecar.learning.query_endpoint import QueryEndpoint


class Endpoint:
    """Answers every request alike and keeps what it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, b""
        self.asked: list[tuple[str, dict[str, str], dict]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.asked.append((self.path, dict(self.headers), json.loads(sent)))
                self.send_response(endpoint.status)
                self.end_headers()
                self.wfile.write(endpoint.body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def says(self, text: str) -> None:
        self.body = json.dumps({"choices": [{"message": {"content": text}}]}).encode()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    running = Endpoint()
    yield running
    running.server.shutdown()
    running.server.server_close()


def writer(endpoint, key=None):
    return QueryEndpoint(
        url=endpoint.url, model="small", instruction="Write {most}.", timeout_s=60, key=key
    )


def test_each_line_is_a_query_without_the_marks_of_a_list(endpoint):
    endpoint.says('1. red shoes\n- "running shoe"\n\n* red shoes\n3) trainers')
    assert writer(endpoint)(["A shoe."], 2) == [["red shoes", "running shoe"]]


def test_one_document_is_asked_for_at_a_time_with_the_key(endpoint):
    endpoint.says("q")
    assert writer(endpoint, key="secret")(["A shoe.", "A cup."], 3) == [["q"], ["q"]]
    (path, headers, body), second = endpoint.asked
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret"
    assert body["model"] == "small"
    assert [message["content"] for message in body["messages"]] == ["Write 3.", "A shoe."]
    assert second[2]["messages"][1]["content"] == "A cup."


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, b"boom, with a secret document", "status 500"),
        (200, b"no json", "JSONDecodeError"),
        (200, b'{"choices": []}', "IndexError"),
    ],
)
def test_an_endpoint_that_fails_is_named_without_what_was_sent(endpoint, status, body, said):
    endpoint.status, endpoint.body = status, body
    with pytest.raises(SidecarError, match=said) as failed:
        writer(endpoint)(["a secret document"], 1)
    assert "127.0.0.1" in str(failed.value)
    assert "secret document" not in str(failed.value)
    assert "tune.query_writer" in failed.value.next_step


def test_an_endpoint_must_have_a_web_address():
    with pytest.raises(ValueError, match="expected an address"):
        TuneConfig(query_writer={"kind": "endpoint", "url": "file:///etc", "model": "m"})
