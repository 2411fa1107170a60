"""Limits and manners of the server."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """What one request may cost and who may reach the server."""

    max_body_bytes: int = 1_000_000
    #: How long a caller may take to send its body.
    body_timeout_s: float = 30.0
    #: Texts in one embeddings request, and neural clauses in one search.
    max_texts: int = 256
    max_text_characters: int = 8_192
    #: Texts waiting for the encoder before callers are turned away.
    max_waiting_texts: int = 2_048
    #: Texts in one run of the encoder.
    encode_batch: int = 32
    #: Threads for everything that may block: the state store, the admin calls.
    threads: int = 8
    #: Largest k or size on an embedded engine.
    max_hits: int = 1_000
    upstream_timeout_s: float = 30.0
    upstream_connections: int = 64
    sign_in_hours: float = 12.0
    #: Whether people reach the page by HTTPS; then its cookie is sent by no other way.
    https: bool = False
    #: Whether an address that other machines can reach may be bound without TLS.
    allow_remote: bool = False
    #: PEM files; with both the server speaks HTTPS itself.
    tls_certificate: str | None = None
    tls_key: str | None = None

    @property
    def tls(self) -> bool:
        """Whether the server speaks HTTPS itself."""
        return self.tls_certificate is not None and self.tls_key is not None
