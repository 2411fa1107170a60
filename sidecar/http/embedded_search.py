"""``/{index}/_search`` on an embedded engine: a small part of the query language, honestly.

Answered are a ``neural`` clause at the top, a ``match`` on one field, ``size``, ``from`` and
``_source`` as a boolean or a list of fields, in OpenSearch's shape. All else is refused by name.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.responses import Response

from desireline.connectors.search_engine import Hit
from desireline.sidecar.http.embeddings import generation_headers
from desireline.sidecar.http.intent import intent_headers
from desireline.sidecar.http.neural import DEFAULT_K, query_texts
from desireline.sidecar.http.operations import Operations
from desireline.sidecar.http.refusals import RequestRefusedError
from desireline.sidecar.http.settings import HttpSettings
from desireline.sidecar.http.threads import Threads
from desireline.sidecar.reports.telemetry import Metrics
from desireline.sidecar.serving.live import TargetFields

_SIZE = 10
_ANSWERED = (
    "an embedded engine answers {query: {neural: {FIELD: {query_text, k}}}} and"
    " {query: {match: {FIELD: TEXT}}} with size, from and _source; ask OpenSearch for the rest"
)


class EmbeddedSearch:
    """Answers searches without a cluster."""

    def __init__(
        self,
        operations: Operations,
        threads: Threads,
        settings: HttpSettings,
        metrics: Metrics,
    ) -> None:
        self._operations = operations
        self._metrics = metrics
        self._threads = threads
        self._settings = settings

    async def answer(
        self, target: str, index: str, parameters: str, body: dict[str, Any]
    ) -> Response:
        """Answer one search in OpenSearch's shape."""
        started = time.perf_counter()
        query, window, source = self._parts(parameters, body)
        headers: dict[str, str] = {}
        if "neural" in query:
            text, k = self._neural(query, self._operations.fields(target))
            answered = await self._threads.run(self._operations.answer, target, text, k)
            hits, headers = answered.hits, generation_headers(answered.live)
            if answered.intent is not None and answered.use is not None:
                self._metrics.intent(target, answered.use)
                headers |= intent_headers(answered.intent, answered.use)
            relation = "eq"
        else:
            field, text = self._match(query, self._operations.fields(target))
            k = max(1, window.stop)
            hits = await self._threads.run(self._operations.search_text, target, field, text, k)
            relation = "eq" if len(hits) < k else "gte"
        answer = {
            "took": int((time.perf_counter() - started) * 1000),
            "timed_out": False,
            "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
            "hits": {
                "total": {"value": len(hits), "relation": relation},
                "max_score": hits[0].score if hits else None,
                "hits": [_hit(hit, index, source) for hit in hits[window]],
            },
        }
        option = orjson.OPT_SERIALIZE_NUMPY
        return Response(
            orjson.dumps(answer, option=option), media_type="application/json", headers=headers
        )

    def _parts(
        self, parameters: str, body: dict[str, Any]
    ) -> tuple[dict[str, Any], slice, bool | list[str]]:
        given = {**dict(parse_qsl(parameters, keep_blank_values=True)), **body}
        unknown = sorted(given.keys() - {"query", "size", "from", "_source"})
        query = given.get("query")
        if unknown or not isinstance(query, dict) or len(query) != 1:
            named = f"{unknown[0][:80]!r} is" if unknown else "this query is"
            raise RequestRefusedError(f"{named} not answered", next_step=_ANSWERED)
        start, size = self._count(given, "from", 0), self._count(given, "size", _SIZE)
        source = given.get("_source", True)
        is_list = isinstance(source, list) and all(isinstance(name, str) for name in source)
        if not isinstance(source, bool) and not is_list:
            raise RequestRefusedError("this _source is not answered", next_step=_ANSWERED)
        return query, slice(start, start + size), source

    def _count(self, given: Mapping[str, Any], name: str, otherwise: int) -> int:
        value = given.get(name, otherwise)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value[:9])
        most = self._settings.max_hits
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise RequestRefusedError(
                f"{name} must be a whole number from 0 to {most:,}", parameter=name
            )
        return value

    def _neural(self, query: dict[str, Any], fields: TargetFields) -> tuple[str, int]:
        longest = self._settings.max_text_characters
        texts = query_texts(query, fields.answerable, longest=longest)
        options = next(iter(query["neural"].values()), None) if texts else None
        if options is None or not options.keys() <= {"query_text", "k", "model_id"}:
            raise RequestRefusedError("this neural clause is not answered", next_step=_ANSWERED)
        return texts[0], max(1, self._count(options, "k", DEFAULT_K))

    def _match(self, query: dict[str, Any], fields: TargetFields) -> tuple[str, str]:
        named = query.get("match")
        if not isinstance(named, dict) or len(named) != 1:
            raise RequestRefusedError("this query is not answered", next_step=_ANSWERED)
        ((field, text),) = named.items()
        if isinstance(text, dict) and text.keys() == {"query"}:
            text = text["query"]
        if not isinstance(text, str) or len(text) > self._settings.max_text_characters:
            raise RequestRefusedError("this match clause is not answered", next_step=_ANSWERED)
        known = [name for name, _ in fields.text]
        if field not in known:
            raise RequestRefusedError(
                f"the target does not search the field {field[:80]!r}",
                next_step=f"match one of {', '.join(known)}",
                parameter="match",
            )
        return field, text


def _hit(hit: Hit, index: str, source: bool | Sequence[str]) -> dict[str, Any]:
    answer: dict[str, Any] = {"_index": index, "_id": hit.document_id, "_score": hit.score}
    if source is not False:
        names = hit.fields.keys() if source is True else hit.fields.keys() & set(source)
        answer["_source"] = {name: hit.fields[name] for name in names}
    return answer
