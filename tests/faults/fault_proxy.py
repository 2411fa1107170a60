"""A proxy between the sidecar and OpenSearch that counts the requests and breaks the N-th.

Pure Python, one thread a connection. What it does to a request is what networks, proxies and
loaded clusters do; each fault says whether the cluster carried the request out.
"""

import http.client
import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

_CLUSTER_TIMEOUT_S = 60.0
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Fault(StrEnum):
    """What happens to a request."""

    #: The connection ends before the cluster sees it.
    RESET_BEFORE = "reset before"
    #: The cluster carries it out; its answer is lost.
    RESET_AFTER = "reset after"
    #: Nobody carries it out and nobody answers.
    TIME_OUT = "time-out"
    #: The cluster carries it out and nobody answers.
    TIME_OUT_AFTER = "time-out after"
    #: Turned away: too busy.
    BUSY = "429"
    #: Turned away: no node can serve it.
    UNAVAILABLE = "503"
    #: A gateway without a cluster behind it; the client sends it again by itself.
    BAD_GATEWAY = "502"
    #: Carried out; the answer ends in the middle of its JSON, and so does the connection.
    CUT_OFF = "cut off"
    #: Carried out; the answer is whole for HTTP and is half a JSON.
    TRUNCATED = "truncated JSON"
    #: The cluster gets it twice; the answer is the second one's.
    DUPLICATED = "duplicated"


NEVER_SENT = {
    Fault.RESET_BEFORE,
    Fault.TIME_OUT,
    Fault.BUSY,
    Fault.UNAVAILABLE,
    Fault.BAD_GATEWAY,
}
NEVER_ANSWERED = {Fault.RESET_AFTER, Fault.TIME_OUT_AFTER, Fault.CUT_OFF}
_REFUSALS = {
    Fault.BUSY: (429, "rejected_execution_exception", "rejected execution of a planted request"),
    Fault.UNAVAILABLE: (503, "cluster_manager_not_discovered_exception", "no cluster manager"),
    Fault.BAD_GATEWAY: (502, "", ""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of the cluster."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(slots=True)
class FaultProxy:
    """Passes requests to a cluster and breaks those that `broken` names a fault for."""

    upstream: str
    #: Given the number of a request, from 1, and the request.
    broken: Callable[[int, Request], Fault | None] = lambda _number, _request: None
    #: Method and path of every request so far.
    seen: list[str] = field(default_factory=list)
    #: Faults that happened.
    happened: list[Fault] = field(default_factory=list)
    _server: socket.socket = field(init=False)
    _open: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        threading.Thread(target=self._accept, name="fault proxy", daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def start_over(self, broken: Callable[[int, Request], Fault | None] | None = None) -> None:
        """Count from one again, breaking other requests; without an argument none."""
        with self._lock:
            self.seen, self.happened = [], []
            self.broken = broken or (lambda _number, _request: None)

    def break_at(self, number: int, fault: Fault, *, times: int = 1) -> None:
        """Count from one again and break so many requests in a row."""
        self.start_over(lambda at, _request: fault if number <= at < number + times else None)

    def close(self) -> None:
        self._closed.set()
        self._server.close()
        with self._lock:
            for connection in self._open:
                _reset(connection)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        parts = urlsplit(self.upstream)
        cluster = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=_CLUSTER_TIMEOUT_S
        )
        try:
            with connection.makefile("rb") as stream:
                while (request := _read(stream)) is not None:
                    if not self._answer(connection, cluster, request):
                        return
        except OSError:
            return
        finally:
            cluster.close()
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _answer(
        self, connection: socket.socket, cluster: http.client.HTTPConnection, request: Request
    ) -> bool:
        """Answer one request; return whether the connection goes on."""
        with self._lock:
            self.seen.append(f"{request.method} {request.path}")
            fault = self.broken(len(self.seen), request)
            if fault is not None:
                self.happened.append(fault)
        if fault in NEVER_SENT:
            return _refuse(connection, fault)
        answer = _pass_on(cluster, request)
        if fault is Fault.DUPLICATED:
            answer = _pass_on(cluster, request)
        if fault in NEVER_ANSWERED:
            return _leave(connection, fault, answer)
        if fault is Fault.TRUNCATED:
            answer = replace(answer, body=_half(answer.body))
        connection.sendall(_encode(answer, head=request.method == "HEAD"))
        return True


def _refuse(connection: socket.socket, fault: Fault) -> bool:
    if fault in _REFUSALS:
        connection.sendall(_encode(_refusal(fault)))
        return True
    if fault is Fault.RESET_BEFORE:
        _reset(connection)
    else:
        connection.recv(1)  # ends when the client has waited enough and hangs up
    return False


def _leave(connection: socket.socket, fault: Fault, answer: Answer) -> bool:
    if fault is Fault.RESET_AFTER:
        _reset(connection)
    elif fault is Fault.TIME_OUT_AFTER:
        connection.recv(1)
    else:
        whole = _encode(answer)
        connection.sendall(whole[: len(whole) - len(answer.body) + len(_half(answer.body))])
    return False


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _read(stream: Any) -> Request | None:
    line = stream.readline()
    if not line.strip():
        return None
    method, path, _ = line.decode("latin-1").split(" ", 2)
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    return Request(method=method, path=path, headers=headers, body=body)


def _pass_on(cluster: http.client.HTTPConnection, request: Request) -> Answer:
    kept = {
        name: value
        for name, value in request.headers.items()
        if name not in {"host", "accept-encoding", "content-length", "connection"}
    }
    cluster.request(request.method, request.path, body=request.body or None, headers=kept)
    answer = cluster.getresponse()
    headers = tuple(
        (name, value) for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP
    )
    return Answer(status=answer.status, headers=headers, body=answer.read())


def _encode(answer: Answer, *, head: bool = False) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {http.client.responses.get(answer.status, '')}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    lines += [f"content-length: {len(answer.body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + (b"" if head else answer.body)


def _refusal(fault: Fault) -> Answer:
    if fault is Fault.BAD_GATEWAY:
        page = b"<html><body>Bad Gateway</body></html>"
        return Answer(status=502, headers=(("content-type", "text/html"),), body=page)
    status, kind, reason = _REFUSALS[fault]
    error = {"type": kind, "reason": reason}
    body = json.dumps({"error": {**error, "root_cause": [error]}, "status": status}).encode()
    return Answer(status=status, headers=(("content-type", "application/json"),), body=body)


def _reset(connection: socket.socket) -> None:
    """End a connection with RST, as a dying peer does."""
    linger = struct.pack("ii", 1, 0)
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.shutdown(socket.SHUT_RD)
    except OSError:
        pass
    connection.close()
