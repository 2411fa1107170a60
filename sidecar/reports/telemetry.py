"""What desireline tells its operator: log lines with fixed sentences, and metrics.

Query text is personal data and credentials are secrets: neither enters a log line, whatever
a caller passes, because the keys that usually carry them are withheld here.
"""

import logging
import sys
from collections import deque
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

#: Keys whose values never reach a log line.
WITHHELD_KEYS = frozenset(
    {"text", "texts", "query", "query_text", "input", "api_key", "authorization", "password"}
)

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_STALENESS = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0)
_RECENT = 1000


def configure_logs(
    *, level: int = logging.INFO, form: Literal["lines", "json"] = "lines", to: TextIO | None = None
) -> None:
    """Send log lines to `to` (stderr): one sentence and keys, for people or as JSON."""
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=(to or sys.stderr).isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            withhold_personal_data,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # stderr is looked up at each line, because tests and shells replace it.
        logger_factory=lambda *_names: structlog.PrintLogger(to or sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(level, logging.WARNING), stream=to or sys.stderr)


def withhold_personal_data(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace the values of keys that carry query text or credentials."""
    for name in WITHHELD_KEYS & event.keys():
        event[name] = "[withheld]"
    return event


class Metrics:
    """Counts and times of one process, in a registry of its own."""

    #: Content type of `render`.
    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "desireline_http_requests",
            "Requests answered, by route and HTTP status",
            ["route", "status"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "desireline_http_request_seconds",
            "Time from a request's arrival to the end of its answer",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._encode_seconds = Histogram(
            "desireline_encode_seconds",
            "Time one batch of served texts spent in the encoder",
            buckets=_SECONDS,
            registry=registry,
        )
        self._encoded = Counter(
            "desireline_texts_encoded",
            "Texts encoded for callers, by kind",
            ["kind"],
            registry=registry,
        )
        self._live = Gauge(
            "desireline_live_generation",
            "Number of the live generation",
            ["target"],
            registry=registry,
        )
        self._stale_seconds = Gauge(
            "desireline_staleness_seconds",
            "How old a write may be that the live slot does not show yet",
            ["target"],
            registry=registry,
        )
        self._document_staleness = Histogram(
            "desireline_document_staleness_seconds",
            "Age of an application's write when its vector was written, at most",
            ["target"],
            buckets=_STALENESS,
            registry=registry,
        )
        self._recent_staleness = Gauge(
            "desireline_recent_staleness_seconds",
            "The same over the last thousand documents, by quantile",
            ["target", "quantile"],
            registry=registry,
        )
        self._recent: dict[str, deque[float]] = {}
        self._embedded = Counter(
            "desireline_documents_embedded",
            "Document embeddings written",
            ["target"],
            registry=registry,
        )
        self._intents = Counter(
            "desireline_intents",
            "Queries whose category was asked for, by what was made of it",
            ["target", "use"],
            registry=registry,
        )
        self._cycles = Counter(
            "desireline_cycles", "Cycles ended, by state", ["target", "state"], registry=registry
        )

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.labels(route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def encoded(self, kind: Literal["query", "document"], texts: int, seconds: float) -> None:
        """Count one batch encoded for callers."""
        self._encoded.labels(kind).inc(texts)
        self._encode_seconds.observe(seconds)

    def live(self, target: str, generation: int) -> None:
        """Say which generation serves a target."""
        self._live.labels(target).set(generation)

    def stale(self, target: str, *, seconds: float) -> None:
        """Say how far the live slot lags behind the application's writes."""
        self._stale_seconds.labels(target).set(seconds)

    def document_stale(self, target: str, documents: int, *, seconds: float) -> None:
        """Count documents whose writes were at most so old when their vectors were written."""
        recent = self._recent.setdefault(target, deque(maxlen=_RECENT))
        recent.extend([seconds] * min(documents, _RECENT))
        for _ in range(documents):
            self._document_staleness.labels(target).observe(seconds)
        ordered = sorted(recent)
        for quantile in (0.5, 0.99):
            at = min(len(ordered) - 1, int(quantile * len(ordered)))
            self._recent_staleness.labels(target, str(quantile)).set(ordered[at])

    def embedded(self, target: str, documents: int) -> None:
        """Count document embeddings written by backfill, catch-up or the follower."""
        self._embedded.labels(target).inc(documents)

    def intent(self, target: str, use: str) -> None:
        """Count one query: told, abstained, boost, filter or unfiltered."""
        self._intents.labels(target, use).inc()

    def cycle_ended(self, target: str, state: str) -> None:
        """Count one cycle that ended."""
        self._cycles.labels(target, state).inc()

    def render(self) -> bytes:
        """Return everything in the Prometheus text format."""
        return generate_latest(self._registry)
