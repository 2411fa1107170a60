"""The cluster behind the sidecar: one pool of connections, answers passed on byte for byte."""

import asyncio
import ssl
from collections.abc import Mapping
from http import HTTPStatus

import aiohttp
from starlette.responses import Response

from desireline.sidecar.http.refusals import UpstreamError
from desireline.sidecar.http.settings import HttpSettings
from desireline.sidecar.serving.live import ClusterAddress

#: Headers of the cluster's answer that reach the caller.
_PASSED = ("content-type", "content-encoding", "warning")


class Upstream:
    """Sends searches to the cluster with the sidecar's own credentials."""

    def __init__(self, address: ClusterAddress, settings: HttpSettings) -> None:
        self._address = address
        self._timeout = settings.upstream_timeout_s
        self._connections = settings.upstream_connections
        self._session: aiohttp.ClientSession | None = None

    async def search(
        self, index: str, parameters: str, body: bytes, accept_encoding: str
    ) -> Response:
        """Send a search and return the cluster's answer with its status, bytes untouched.

        Raises:
            UpstreamError: no answer, or one that says that our credentials are wrong.

        """
        url = f"{self._address.url.rstrip('/')}/{index}/_search?{parameters}"
        headers = {"Accept-Encoding": accept_encoding}
        if body:
            headers["Content-Type"] = "application/json"
        if self._address.authorization:
            headers["Authorization"] = self._address.authorization
        try:
            return await self._post(url, headers, body)
        except TimeoutError as error:
            raise UpstreamError(
                f"the cluster did not answer within {self._timeout:g} s",
                status=HTTPStatus.GATEWAY_TIMEOUT,
            ) from error
        except aiohttp.ClientError as error:
            raise UpstreamError(
                "the cluster behind the sidecar does not answer; nothing was changed",
                status=HTTPStatus.SERVICE_UNAVAILABLE,
                next_step="see whether OpenSearch runs, then try again",
            ) from error

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        session = self._open_session()
        method = "POST" if body else "GET"
        async with (
            asyncio.timeout(self._timeout),
            session.request(
                method, url, data=body or None, headers=headers, allow_redirects=False
            ) as answer,
        ):
            if answer.status == HTTPStatus.UNAUTHORIZED:
                raise UpstreamError(
                    "the cluster refuses the sidecar's user or password",
                    status=HTTPStatus.BAD_GATEWAY,
                    next_step="correct [cluster] auth in desireline.toml",
                )
            passed = {name: answer.headers[name] for name in _PASSED if name in answer.headers}
            return Response(await answer.read(), answer.status, passed)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections, ssl=_tls(self._address.verify), ttl_dns_cache=60
                ),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


def _tls(verify: bool | str) -> ssl.SSLContext | bool:
    if isinstance(verify, str):
        return ssl.create_default_context(cafile=verify)
    return verify
