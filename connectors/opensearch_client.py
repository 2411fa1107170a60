"""One way to reach OpenSearch: how a client is built, and its errors in our words."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import opensearchpy
import orjson
from opensearchpy.serializer import JSONSerializer
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from desireline.connectors.errors import ConnectorError, EngineUnavailableError
from desireline.connectors.opensearch_errors import refusal

#: Resends of a request that got no answer; every request here may safely arrive twice.
_RESENDS = 2


class OpenSearchSettings(BaseModel):
    """Where a cluster is and how to be let in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    user: str = ""
    password: SecretStr = SecretStr("")
    #: An API key, sent as it is in ``Authorization: ApiKey …``; instead of a user.
    api_key: SecretStr = SecretStr("")
    #: File of the certificate authority, where the system does not know it.
    ca_file: str = ""
    verify_certs: bool = True
    timeout_s: float = Field(default=30, gt=0)
    #: Engine of new vector fields: lucene everywhere, faiss where its libraries are installed.
    knn_engine: Literal["lucene", "faiss"] = "lucene"

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an address such as https://search.example.org:9200")
        if parts.username or parts.password:
            raise ValueError("must not hold a password; use user and password")
        return url.rstrip("/")

    @property
    def authorization(self) -> str | None:
        """Value of the Authorization header; None where the cluster asks for none."""
        if self.api_key.get_secret_value():
            return f"ApiKey {self.api_key.get_secret_value()}"
        if not self.user:
            return None
        plain = f"{self.user}:{self.password.get_secret_value()}".encode()
        return f"Basic {b64encode(plain).decode('ascii')}"


class Cluster:
    """Requests to one cluster. Threads may share it; every failure is a ConnectorError."""

    def __init__(self, settings: OpenSearchSettings) -> None:
        self.url = settings.url
        self._timeout_s = settings.timeout_s
        self._client = _client(settings)

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        absent_ok: bool = False,
        refused: type[ConnectorError] = ConnectorError,
    ) -> Any:
        """Send one request and return its JSON answer.

        Args:
            method: of HTTP.
            path: from the root of the cluster; `path` in this module quotes names.
            params: of the query string.
            body: JSON, or bytes of newline-delimited JSON sent as they are.
            absent_ok: return None where the answer is 404.
            refused: the error for a request that the cluster understood and refused (400).

        """
        headers = {"content-type": "application/x-ndjson"} if isinstance(body, bytes) else None
        try:
            return self._client.transport.perform_request(
                method, path, params=dict(params or {}), body=body, headers=headers
            )
        except opensearchpy.exceptions.ConnectionError as error:
            raise self._no_answer(error) from error
        except opensearchpy.exceptions.TransportError as error:
            if absent_ok and error.status_code == 404:  # noqa: PLR2004 - HTTP's Not Found
                return None
            raise refusal(error.status_code, error.info, self.url, path, refused) from error
        except opensearchpy.exceptions.SerializationError as error:
            raise EngineUnavailableError(
                f"what answers at {self.url} is not an OpenSearch; nothing was changed",
                next_step="check the address of the cluster",
            ) from error

    def close(self) -> None:
        """Release the connections."""
        self._client.close()

    def _no_answer(self, error: opensearchpy.exceptions.ConnectionError) -> EngineUnavailableError:
        if isinstance(error, opensearchpy.exceptions.SSLError):
            return EngineUnavailableError(
                f"no secure connection to {self.url}: {_reason(error)}; nothing was sent",
                next_step="name the certificate authority's file in ca_file, or check the address",
            )
        if isinstance(error, opensearchpy.exceptions.ConnectionTimeout):
            return EngineUnavailableError(
                f"{self.url} did not answer within {self._timeout_s:g} s; "
                "what was sent may still be carried out, and is safe to send again",
                next_step="look at the load of the cluster, or raise cluster.timeout",
            )
        return EngineUnavailableError(
            f"no search engine answers at {self.url}: {_reason(error)}; nothing was changed",
            next_step="check the address and that the cluster is up",
        )


def path(*parts: str) -> str:
    """Return the path of these parts, each quoted: names and ids may hold anything."""
    return "/" + "/".join(quote(part, safe="*,") for part in parts)


def _client(settings: OpenSearchSettings) -> opensearchpy.OpenSearch:
    options: dict[str, Any] = {}
    if settings.authorization is not None:
        options["headers"] = {"authorization": settings.authorization}
    if settings.url.startswith("https"):
        options |= {"verify_certs": settings.verify_certs, "ssl_show_warn": False}
        options |= {"ca_certs": settings.ca_file} if settings.ca_file else {}
    return opensearchpy.OpenSearch(
        [settings.url],
        connection_class=_QuietConnection,
        serializer=_Serializer(),
        timeout=settings.timeout_s,
        max_retries=_RESENDS,
        retry_on_timeout=False,
        retry_on_status=(502, 504),
        pool_maxsize=16,
        **options,
    )


class _Serializer(JSONSerializer):
    """JSON by orjson: vectors are most of what is read."""

    def loads(self, s: Any) -> Any:
        try:
            return orjson.loads(s)
        except orjson.JSONDecodeError as error:
            raise opensearchpy.exceptions.SerializationError(s, error) from error

    def dumps(self, data: Any) -> Any:
        return data if isinstance(data, str | bytes) else orjson.dumps(data).decode()


class _QuietConnection(opensearchpy.Urllib3HttpConnection):
    """Says nothing itself: its logs hold bodies, and bodies hold what users typed."""

    def log_request_success(self, *_: Any, **__: Any) -> None:
        pass

    def log_request_fail(self, *_: Any, **__: Any) -> None:
        pass

    def _raise_warnings(self, _: Any) -> None:
        pass


def _reason(error: opensearchpy.exceptions.ConnectionError) -> str:
    """Return the innermost words: urllib3 wraps a refused connection three times."""
    inner = error.info if isinstance(error.info, BaseException) else error
    reason = getattr(inner, "reason", inner)
    return str(reason).rsplit(": ", maxsplit=1)[-1].rstrip(".")
