"""uvicorn around the application: in front, or in a background thread for demos and tests."""

import ipaddress
import socket
import threading
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from desireline.sidecar.errors import SidecarError
from desireline.sidecar.http.settings import HttpSettings

_GRACE_S = 10


class AddressError(SidecarError):
    """The server cannot be reached at this address, or must not be."""


def serve(app: ASGIApp, host: str, port: int, settings: HttpSettings | None = None) -> None:
    """Serve until a signal ends the process, then let requests under way end.

    Raises:
        AddressError: the address is taken, or open to others without TLS.

    """
    settings = settings or HttpSettings()
    with _listen(host, port, settings) as listening:
        uvicorn.Server(_config(app, settings)).run([listening])


class Server:
    """The same in a background thread; a context manager.

    Port 0 takes any free port; `url` says which.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str = "127.0.0.1",
        port: int = 0,
        settings: HttpSettings | None = None,
    ) -> None:
        settings = settings or HttpSettings()
        self._socket = _listen(host, port, settings)
        self._server = _Announcing(_config(app, settings))
        self._thread = threading.Thread(target=self._run, name="desireline-server", daemon=True)
        name = f"[{host}]" if ":" in host else host
        scheme = "https" if settings.tls else "http"
        self.url = f"{scheme}://{name}:{self._socket.getsockname()[1]}"

    def start(self) -> Self:
        """Start and return once requests are answered."""
        self._thread.start()
        self._server.begun.wait()
        return self

    def stop(self) -> None:
        """Let requests under way end, then stop; safe to repeat."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            self._server.run([self._socket])
        finally:
            self._server.begun.set()


class _Announcing(uvicorn.Server):
    """Says when it answers, and leaves signals to the process it lives in."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.begun = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        self.begun.set()


def _config(app: ASGIApp, settings: HttpSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        # Paths and addresses of callers stay out of the log; /metrics counts them.
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_S,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )


def _listen(host: str, port: int, settings: HttpSettings) -> socket.socket:
    if not (settings.tls or settings.allow_remote or _is_loopback(host)):
        raise AddressError(
            f"{host} can be reached by other machines, and keys would cross the network in the"
            " clear; the server was not started",
            next_step="name a TLS certificate, or allow it with allow_remote behind a TLS proxy",
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named; left on, it holds
    # the body of every answer back for 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise AddressError(
            f"cannot listen at {host}:{port}: {error.strerror or error}; nothing was started",
            next_step="stop what listens there, or name another port",
        ) from error
    return listening


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
