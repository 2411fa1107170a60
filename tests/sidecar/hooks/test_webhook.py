"""A webhook reaches the host it is allowed to, and nothing else in the network (invariant 37)."""

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desireline.sidecar.configuration.hooks import HookConfig, HookPoint
from desireline.sidecar.errors import HookFailedError, HookRefusedError
from desireline.sidecar.hooks.points import Hooks
from desireline.sidecar.hooks.webhook import WebhookCaller, forbidden, resolve

FACTS = {"target": "products", "reason": "日本"}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Listener:
    """A server that reads one request after the other and answers each as told."""

    def __init__(self, answer: Callable[[socket.socket], None], family: int, host: str) -> None:
        self._answer = answer
        self.requests: list[bytes] = []
        self._socket = socket.socket(family)
        self._socket.bind((host, 0))
        self._socket.listen(8)
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(60)
                try:
                    self.requests.append(self._read(connection))
                    self._answer(connection)
                except OSError:
                    continue

    def _read(self, connection: socket.socket) -> bytes:
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(4096) or b"\r\n\r\n"
        head, _, body = received.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if b"content-length" in line]
        while lengths and len(body) < int(lengths[0].split(b":")[1]):
            body += connection.recv(4096)
        return head + b"\r\n\r\n" + body

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@contextmanager
def listening(
    answer: bytes | Callable[[socket.socket], None] = OK,
    family: int = socket.AF_INET,
    host: str = "127.0.0.1",
) -> Iterator[Listener]:
    told = (lambda connection: connection.sendall(answer)) if isinstance(answer, bytes) else answer
    listener = Listener(told, family, host)
    try:
        yield listener
    finally:
        listener.close()


def caller(*addresses: str, private: bool = True, **keys) -> WebhookCaller:
    """A caller for which hooks.test has these addresses."""
    hosts = frozenset({"hooks.test"})
    return WebhookCaller(
        allowed_hosts=hosts,
        private_hosts=hosts if private else frozenset(),
        resolve=lambda _host, _port: list(addresses) or ["127.0.0.1"],
        **keys,
    )


def post(found: WebhookCaller, url: str, timeout_s: float = 60.0) -> None:
    found.post(url, FACTS, timeout_s=timeout_s)


def failure(found: WebhookCaller, url: str, timeout_s: float = 60.0) -> str:
    with pytest.raises(HookFailedError) as told:
        post(found, url, timeout_s)
    return str(told.value)


def test_the_facts_arrive_as_json() -> None:
    with listening() as server:
        post(caller(), f"http://hooks.test:{server.port}/a/b?c=d")
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a/b?c=d HTTP/1.1\r\n")
    assert f"Host: hooks.test:{server.port}".encode() in head
    assert json.loads(body) == FACTS


@pytest.mark.parametrize("status", [b"201 Created", b"204 No Content"])
def test_every_2xx_agrees(status: bytes) -> None:
    with listening(b"HTTP/1.1 " + status + b"\r\n\r\n") as server:
        post(caller(), f"http://hooks.test:{server.port}")


@pytest.mark.parametrize("status", [b"400 Bad", b"403 No", b"500 Oh", b"999 ?", b"100 Continue"])
def test_any_other_status_is_a_no_with_its_last_line(status: bytes) -> None:
    with listening(b"HTTP/1.1 " + status + b"\r\n\r\nfirst\nnot today\n") as server:
        said = failure(caller(), f"http://hooks.test:{server.port}")
    assert said == f"it answered {status[:3].decode()}: not today"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with listening() as inside:
        there = f"http://127.0.0.1:{inside.port}/latest/meta-data".encode()
        answer = b"HTTP/1.1 %d Found\r\nLocation: %s\r\n\r\n" % (status, there)
        with listening(answer) as server:
            said = failure(caller(), f"http://hooks.test:{server.port}/")
    assert said == f"it answered {status}; redirects are not followed"
    assert inside.requests == []


def test_a_host_that_nobody_allowed_is_not_even_resolved() -> None:
    asked: list[str] = []

    def ask(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["93.184.216.34"]

    found = WebhookCaller(allowed_hosts=frozenset({"hooks.test"}), resolve=ask)
    assert "not in hooks.allowed_hosts" in failure(found, "http://evil.test/")
    assert "not in hooks.allowed_hosts" in failure(found, "http://hooks.test.evil.test/")
    assert asked == []


INSIDE = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "100.100.100.200", "224.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1"),
    # Addresses of IPv4 in the clothes of IPv6.
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::"),
    *("2001:0:5ef5:79fd:0:59d:3f57:fefe",),
    # Not an address at all.
    *("", "localhost", "127.1", "2130706433", "0x7f000001"),
]


@pytest.mark.parametrize("address", INSIDE)
def test_a_public_host_that_leads_inside_is_refused(address: str) -> None:
    said = failure(caller(address, private=False), "http://hooks.test/")
    assert "nothing was sent" in said


def test_one_inner_address_among_public_ones_is_enough_to_refuse() -> None:
    found = caller("93.184.216.34", "10.0.0.1", private=False)
    assert "its host leads to 10.0.0.1" in failure(found, "http://hooks.test/")


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34"]
)
def test_public_addresses_may_be_called(address: str) -> None:
    assert forbidden(address, private=False) == ""


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fd00:ec2::254", "0.0.0.0"]
)
def test_where_credentials_are_given_out_is_refused_even_for_private_hosts(address: str) -> None:
    assert "nothing was sent" in failure(caller(address, private=True), "http://hooks.test/")


@given(st.ip_addresses())
def test_what_is_not_global_is_never_called_for_a_public_host(address) -> None:
    if not address.is_global:
        assert forbidden(str(address), private=False)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_the_same_in_every_notation(address) -> None:
    plain = bool(forbidden(str(address), private=False))
    number = int(address)
    for text in (f"::ffff:{address}", f"64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}"):
        assert bool(forbidden(text, private=False)) == plain


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1"])
def test_a_number_that_the_system_takes_for_an_address_is_judged_as_that_address(host) -> None:
    """The resolver is the real one: it reads such numbers as 127.0.0.1."""
    with listening() as server:
        found = WebhookCaller(allowed_hosts=frozenset({host}), resolve=resolve)
        said = failure(found, f"http://{host}:{server.port}/")
    assert "nothing was sent" in said
    assert server.requests == []


def test_a_name_that_answers_differently_the_second_time_gains_nothing() -> None:
    """DNS rebinding: public when it is judged, loopback when it would be connected to."""
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    hosts = frozenset({"hooks.test"})
    found = WebhookCaller(allowed_hosts=hosts, private_hosts=hosts, resolve=rebinding)
    with listening() as server:
        post(found, f"http://hooks.test:{server.port}/")
        assert len(server.requests) == 1
        assert asked == ["hooks.test"]
        assert "169.254.169.254" in failure(found, f"http://hooks.test:{server.port}/")
    assert len(server.requests) == 1


def test_ipv6_is_reached_where_it_is_allowed() -> None:
    try:
        with listening(family=socket.AF_INET6, host="::1") as server:
            post(caller("::1"), f"http://hooks.test:{server.port}/")
            literal = WebhookCaller(private_hosts=frozenset({"::1"}))
            post(literal, f"http://[::1]:{server.port}/")
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    assert len(server.requests) == 2


def test_the_next_address_is_tried_when_the_first_does_not_answer() -> None:
    with listening() as server:
        post(caller("127.0.0.9", "127.0.0.1"), f"http://hooks.test:{server.port}/")
    assert len(server.requests) == 1


def test_nobody_there_is_told() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # so that nobody else takes it meanwhile
        said = failure(caller(), f"http://hooks.test:{nobody.getsockname()[1]}/")
    assert "cannot be reached" in said


def _silence(connection: socket.socket) -> None:
    connection.recv(1)


def _drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


@pytest.mark.parametrize("answer", [_silence, _drip])
def test_a_server_that_never_comes_to_the_point_is_given_up(answer) -> None:
    """By a clock that jumps once the server is reached, so that a slow machine reaches it too."""
    clock = chain([0.0, 0.0], count(59.7, 0.05))
    with listening(answer) as server:
        found = caller(monotonic=lambda: next(clock))
        said = failure(found, f"http://hooks.test:{server.port}/")
    assert said == "it did not answer in 60 s"


def test_a_resolver_that_hangs_is_given_up() -> None:
    release = threading.Event()
    hosts = frozenset({"hooks.test"})
    found = WebhookCaller(allowed_hosts=hosts, resolve=lambda *_: [str(release.wait(30))])
    said = failure(found, "http://hooks.test/", timeout_s=0.3)
    release.set()
    assert said == "its host was not resolved in 0.3 s; nothing was sent"


def _flood(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 500 No\r\n\r\n")
    while True:
        connection.sendall(b"flood " * 10_000)


def test_a_flood_is_cut_off() -> None:
    with listening(_flood) as server:
        said = failure(caller(), f"http://hooks.test:{server.port}/")
    assert said.startswith("it answered 500: ")
    assert len(said) < 300


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-x\r\n\r\n", b"", b"\r\n\r\n", b"HTTP/1.1 \xff\r\n\r\n"]
)
def test_what_is_not_http_is_no_agreement(answer: bytes) -> None:
    with listening(answer) as server:
        said = failure(caller(), f"http://hooks.test:{server.port}/")
    assert said == "it did not answer as HTTP does" or "cannot be reached" in said


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@hooks.test/",
        "gopher://hooks.test/",
        "http://hooks.test/\r\nX: y",
        "file:///etc/passwd",
        "http://hooks.test:notaport/",
    ],
)
def test_an_address_of_another_kind_is_refused_here_too(url: str) -> None:
    said = failure(caller(), url)
    assert "its address is wrong" in said
    assert "secret" not in said


def test_a_refusal_names_the_host_and_never_the_path() -> None:
    """The path of a chat service's webhook is its secret."""
    with listening(b"HTTP/1.1 403 No\r\n\r\n") as server:
        url = f"http://hooks.test:{server.port}/services/T00/s3cret"
        hook = HookConfig(point=HookPoint.BEFORE_CUT_OVER, webhook=url)
        with pytest.raises(HookRefusedError) as told:
            Hooks([hook], webhooks=caller()).run(hook.point, FACTS)
    assert "webhook at hooks.test" in str(told.value)
    assert "s3cret" not in str(told.value) + told.value.next_step


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate and key for hooks.test, signed by itself."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificate and is not installed")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=hooks.test", "-addext", "subjectAltName=DNS:hooks.test"),
            *("-keyout", folder / "both.pem", "-out", folder / "certificate.pem"),
        ],
        check=True,
        capture_output=True,
    )
    with (folder / "both.pem").open("a") as both:
        both.write((folder / "certificate.pem").read_text())
    return folder


@contextmanager
def https(certificate: Path) -> Iterator[Listener]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "both.pem")

    class Secure(Listener):
        def _read(self, connection: socket.socket) -> bytes:
            self.secured = context.wrap_socket(connection, server_side=True)
            return super()._read(self.secured)

    listener = Secure(lambda _: listener.secured.sendall(OK), socket.AF_INET, "127.0.0.1")
    try:
        yield listener
    finally:
        listener.close()


def test_https_checks_the_name_although_the_address_is_pinned(certificate: Path) -> None:
    trust = ssl.create_default_context(cafile=certificate / "certificate.pem")
    with https(certificate) as server:
        post(caller(trust=trust), f"https://hooks.test:{server.port}/x")
        other = WebhookCaller(
            private_hosts=frozenset({"other.test"}),
            resolve=lambda *_: ["127.0.0.1"],
            trust=trust,
        )
        said = failure(other, f"https://other.test:{server.port}/x")
    assert said.startswith("its certificate or TLS is wrong")
    assert len(server.requests) == 1


def test_https_with_a_certificate_nobody_trusts_is_refused(certificate: Path) -> None:
    with https(certificate) as server:
        said = failure(caller(), f"https://hooks.test:{server.port}/x")
    assert said.startswith("its certificate or TLS is wrong")
    assert server.requests == []
