import socket
import threading

import httpx
import pytest

from desireline.sidecar.http.app import create_app
from desireline.sidecar.http.server import AddressError, Server, serve
from desireline.sidecar.http.settings import HttpSettings


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "search.example.org", ""])
def test_an_address_open_to_others_is_refused_without_tls(sidecar, keys, host: str) -> None:
    with pytest.raises(AddressError, match="other machines"):
        Server(create_app(sidecar, keys), host)


def test_it_may_be_allowed_by_name(sidecar, keys) -> None:
    settings = HttpSettings(allow_remote=True)
    with Server(create_app(sidecar, keys, settings), "0.0.0.0", settings=settings) as server:
        port = server.url.rsplit(":", 1)[1]
        assert httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=60).status_code == 200


def test_a_taken_port_is_told(sidecar, keys) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AddressError, match=str(port)):
            serve(create_app(sidecar, keys), "127.0.0.1", port)


def test_stopping_lets_a_request_under_way_end(sidecar, keys, monkeypatch) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def slow(target: str) -> dict:
        entered.set()
        go_on.wait(60)
        return {"state": "idle"}

    monkeypatch.setattr(sidecar, "status", slow)
    headers = {"X-API-Key": keys.create("a test", ["read"])}
    server = Server(create_app(sidecar, keys)).start()
    answers: list[httpx.Response] = []
    caller = threading.Thread(
        target=lambda: answers.append(
            httpx.get(f"{server.url}/v1/targets/products", headers=headers, timeout=60)
        )
    )
    caller.start()
    assert entered.wait(60)
    stopper = threading.Thread(target=server.stop)
    stopper.start()
    go_on.set()
    stopper.join(60)
    caller.join(60)
    assert [answer.status_code for answer in answers] == [200]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/healthz")


def test_stopping_twice_is_harmless(sidecar, keys) -> None:
    server = Server(create_app(sidecar, keys)).start()
    server.stop()
    server.stop()


def test_answers_are_not_held_back_by_nagles_algorithm(sidecar, keys) -> None:
    with Server(create_app(sidecar, keys)) as server:
        # asyncio sets TCP_NODELAY on what is accepted only where the protocol says TCP.
        assert server._socket.proto == socket.IPPROTO_TCP
