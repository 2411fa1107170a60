"""The HTTP server over one sidecar, with the threads that keep its answers true."""

from collections.abc import Iterator
from contextlib import contextmanager

from desireline.sidecar.config import ServerConfig
from desireline.sidecar.http.app import create_app
from desireline.sidecar.http.server import Server
from desireline.sidecar.http.settings import HttpSettings
from desireline.sidecar.operations import Sidecar
from desireline.sidecar.service import running


@contextmanager
def answering(
    sidecar: Sidecar, config: ServerConfig, *, host: str | None = None, port: int | None = None
) -> Iterator[Server]:
    """Answer applications, follow their writes and run schedules for the time of the block.

    Raises:
        AddressError: the address is taken, or open to others without TLS.

    """
    settings = http_settings(config)
    app = create_app(sidecar, sidecar.api_keys(), settings, sidecar.metrics)
    host, port = host or config.host, config.port if port is None else port
    # The server is made first: an address that is taken must not cost a start of everything else.
    server = Server(app, host, port, settings)
    try:
        with running(sidecar), server:
            yield server
    finally:
        server.stop()


def http_settings(config: ServerConfig) -> HttpSettings:
    """Return the limits and manners that the configuration asks for."""
    return HttpSettings(
        max_body_bytes=config.max_body_bytes,
        max_texts=config.max_texts,
        threads=config.threads,
        allow_remote=config.allow_remote,
        https=config.https or config.tls_key is not None,
        tls_certificate=str(config.tls_certificate) if config.tls_certificate else None,
        tls_key=str(config.tls_key) if config.tls_key else None,
    )
