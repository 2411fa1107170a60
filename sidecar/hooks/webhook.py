"""One call of a webhook that cannot be turned against the network the sidecar stands in.

The host must be allowed by name. It is resolved once; every address it has must be one that may
be called, and the connection goes to such an address, so that a name which answers differently a
moment later gains nothing. No redirect is followed, no proxy is used, and time and answer are
bounded. Paths of addresses can be secrets, so sentences name the host alone.
"""

import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

from desireline.sidecar.configuration.hooks import host_of, web_address
from desireline.sidecar.errors import HookFailedError
from desireline.sidecar.hooks.output import last_line

Resolve: TypeAlias = Callable[[str, int], list[str]]
"""Returns every address of a host, as text; OSError when it has none."""

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_ANSWER_BYTES = 8_192
#: Where clouds give out credentials, outside the link-local range.
_METADATA = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "fd00:ec2::254")))
#: IPv6 ranges whose last 32 bits are an IPv4 address: translated (RFC 6052), compatible.
_HOLD_IPV4 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))


def resolve(host: str, port: int) -> list[str]:
    """Ask the system for every address of a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookCaller:
    """Calls the webhooks whose hosts the operator allowed."""

    #: Hosts that may be called at public addresses.
    allowed_hosts: frozenset[str] = frozenset()
    #: Hosts that may be called at private and loopback addresses too.
    private_hosts: frozenset[str] = frozenset()
    resolve: Resolve = resolve
    monotonic: Callable[[], float] = time.monotonic
    trust: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    def post(self, url: str, facts: Mapping[str, str], *, timeout_s: float) -> None:
        """Send the facts as a JSON object.

        Raises:
            HookFailedError: the address is not allowed, nobody answered in time, or the answer's
                status is not 2xx.

        """
        self._send(url, lambda parts: _request(parts, facts), timeout_s)

    def get(self, url: str, *, timeout_s: float) -> None:
        """Ask whether the address answers 2xx. Raises HookFailedError as `post` does."""
        self._send(url, _question, timeout_s)

    def _send(self, url: str, request: Callable[[SplitResult], bytes], timeout_s: float) -> None:
        deadline = self.monotonic() + timeout_s
        parts = _checked(url)
        host = host_of(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        addresses = self._allowed(host, port, timeout_s)
        try:
            plain = self._connected(addresses, port, deadline)
            with plain, self._secured(plain, parts) as connection:
                connection.sendall(request(parts))
                status, said = self._answer(connection, deadline)
        except (OSError, ValueError) as error:
            raise HookFailedError(_why(error, timeout_s)) from error
        if 300 <= status < 400:  # noqa: PLR2004 - HTTP's own numbers
            raise HookFailedError(f"it answered {status}; redirects are not followed")
        if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's own numbers
            raise HookFailedError(f"it answered {status}" + (f": {said}" if said else ""))

    def _allowed(self, host: str, port: int, timeout_s: float) -> list[str]:
        if host not in self.allowed_hosts and host not in self.private_hosts:
            raise HookFailedError("its host is not in hooks.allowed_hosts; nothing was sent")
        addresses = _within(timeout_s, lambda: self.resolve(host, port))
        for address in addresses:
            wrong = forbidden(address, private=host in self.private_hosts)
            if wrong:
                raise HookFailedError(f"its host leads to {address}, {wrong}; nothing was sent")
        if not addresses:
            raise HookFailedError("its host has no address; nothing was sent")
        return addresses

    def _connected(self, addresses: list[str], port: int, deadline: float) -> socket.socket:
        failure: OSError = TimeoutError()
        for address in addresses:
            try:
                return socket.create_connection((address, port), self._left(deadline))
            except OSError as error:
                failure = error
        raise failure

    def _secured(self, plain: socket.socket, parts: SplitResult) -> socket.socket:
        if parts.scheme == "http":
            return plain
        return self.trust.wrap_socket(plain, server_hostname=parts.hostname)

    def _answer(self, connection: socket.socket, deadline: float) -> tuple[int, str]:
        """Return the status and the last line of what was said, as far as it was read."""
        received = b""
        while len(received) < _ANSWER_BYTES and not _complete(received):
            connection.settimeout(self._left(deadline))
            chunk = connection.recv(_ANSWER_BYTES)
            if not chunk:
                break
            received += chunk
        head, _, body = received.partition(b"\r\n\r\n")
        words = head.split(b"\r\n", 1)[0].split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():  # noqa: PLR2004 - version, status
            raise ValueError("it did not answer as HTTP does")
        return int(words[1]), last_line(body)

    def _left(self, deadline: float) -> float:
        left = deadline - self.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def forbidden(address: str, *, private: bool) -> str:
    """Say why an address must not be called, or nothing.

    Args:
        address: an IPv4 or IPv6 address as text, as a resolver returns it.
        private: whether private and loopback addresses are allowed for this host.

    """
    try:
        found = _plain(ipaddress.ip_address(address))
    except ValueError:
        return "which is no address"
    if found.is_link_local or found in _METADATA:
        return "where clouds give out credentials"
    if found.is_multicast or found.is_unspecified or getattr(found, "is_site_local", False):
        return "which is no single machine's address"
    return "" if private or found.is_global else "which is inside this network"


def _plain(address: _Address) -> _Address:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.is_loopback or address.is_unspecified:
        return address
    if any(address in network for network in _HOLD_IPV4):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address


def _checked(url: str) -> SplitResult:
    try:
        return urlsplit(web_address(url))
    except ValueError as error:
        raise HookFailedError(f"its address is wrong: {error}; nothing was sent") from error


def _within(seconds: float, work: Callable[[], list[str]]) -> list[str]:
    """Return what the work returns; a resolver knows no time-out of its own."""
    found: list[list[str]] = []

    def run() -> None:
        with suppress(OSError, ValueError):
            found.append(work())

    thread = threading.Thread(target=run, name="resolve", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise HookFailedError(f"its host was not resolved in {seconds:g} s; nothing was sent")
    if not found:
        raise HookFailedError("its host has no address; nothing was sent")
    return found[0]


def _request(parts: SplitResult, facts: Mapping[str, str]) -> bytes:
    body = json.dumps(dict(facts)).encode()
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: desireline\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Accept: */*\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


def _question(parts: SplitResult) -> bytes:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: desireline\r\n"
    return f"{head}Accept: */*\r\nConnection: close\r\n\r\n".encode("ascii")


def _complete(received: bytes) -> bool:
    """Tell whether an answer that names its length is all there."""
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return len(body) >= int(value)
    return False


def _why(error: Exception, timeout_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"it did not answer in {timeout_s:g} s"
    if isinstance(error, ssl.SSLError):
        return f"its certificate or TLS is wrong: {error.reason or 'no reason given'}"
    if isinstance(error, OSError):
        return f"it cannot be reached: {error.strerror or type(error).__name__}"
    return str(error)
