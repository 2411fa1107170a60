"""The real engine and the real store over the simulated node, with faults on the way.

Everything from `Cluster.call` upwards is production code. Below it stands what the client
library does: a request without an answer is sent again twice, and may thus arrive twice.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from opensearchpy import exceptions
from simulated_aliases import RefusedError
from simulated_node import SimulatedNode
from simulated_schedule import Pending, Schedule, Strand, current

from desireline.connectors import opensearch_client
from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.stores.opensearch import OpenSearchStore

SETTINGS = OpenSearchSettings(url="http://simulated:9200")
_RESENDS = 2
_REFUSALS = {
    "busy": (429, "rejected_execution_exception", "too busy"),
    "unavailable": (503, "", "no cluster manager"),
}

Meddle = Callable[[Strand, str, str], str]
"""Before each request: may kill or pause the strand; returns the fate of the request."""


@dataclass(slots=True)
class Network:
    """Between clients and the node. Outside the schedule requests are answered at once."""

    node: SimulatedNode
    schedule: Schedule
    rng: random.Random
    meddle: Meddle = lambda *_: ""

    def perform(self, origin: str, method: str, path: str, params: Any, body: Any) -> Any:
        """Send one request as the client library does."""
        strand = current()
        if strand is None:
            return self._now(origin, method, path, params, body)
        for _ in range(_RESENDS + 1):
            fate = self.meddle(strand, method, path)
            if fate in _REFUSALS:
                raise _refused(RefusedError(*_REFUSALS[fate]))
            if fate == "reset before":
                continue
            late_s = self.rng.expovariate(0.5) if fate == "timeout" else 0.0
            work = self.node.request(method, path, params, body, origin)
            pending = self.schedule.serve(work, late_s)
            if fate == "answer lost":
                strand.want(None)
                continue
            strand.want(30.0 if fate == "timeout" else pending)
            if pending.done:
                return _answer(pending)
            raise exceptions.ConnectionTimeout("TIMEOUT", "timed out", "timed out")
        raise exceptions.ConnectionError("N/A", "reset", "connection reset")

    def _now(self, origin: str, method: str, path: str, params: Any, body: Any) -> Any:
        work = self.node.request(method, path, params, body, origin)
        try:
            while True:
                next(work)
        except StopIteration as end:
            return end.value
        except RefusedError as error:
            raise _refused(error) from error


def _answer(pending: Pending) -> Any:
    if isinstance(pending.error, RefusedError):
        raise _refused(pending.error) from pending.error
    if pending.error is not None:
        raise pending.error
    return pending.value


def _refused(error: RefusedError) -> exceptions.TransportError:
    kind = error.body["error"]["type"]
    return exceptions.TransportError(error.status, kind, error.body)


class _Client:
    """What `Cluster` needs of the client library."""

    def __init__(self, network: Network, origin: str) -> None:
        self._network = network
        self._origin = origin
        self.transport = self

    def perform_request(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Any = None,
        **_: Any,
    ) -> Any:
        if body is not None and not isinstance(body, bytes):
            body = orjson.loads(orjson.dumps(body))
        return self._network.perform(self._origin, method, path, dict(params or {}), body)

    def close(self) -> None:
        pass


@contextmanager
def _connected(network: Network, origin: str) -> Iterator[None]:
    """Let every `Cluster` that is made meanwhile talk to the simulated node."""
    real = opensearch_client._client
    opensearch_client._client = lambda _settings: _Client(network, origin)
    try:
        yield
    finally:
        opensearch_client._client = real


def engine_over(network: Network, origin: str, *, visible_at_once: bool = True) -> OpenSearchEngine:
    """Return the real engine, talking to the simulated node."""
    with _connected(network, origin):
        return OpenSearchEngine(SETTINGS, visible_at_once=visible_at_once)


def store_over(network: Network, origin: str) -> OpenSearchStore:
    """Return the real store, talking to the simulated node."""
    with _connected(network, origin):
        return OpenSearchStore(SETTINGS)
