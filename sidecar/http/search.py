"""``/{index}/_search``: what applications sent to the cluster before, with neural answered.

The live generation is taken once a request; its encoder makes the vectors, its slot is the
field and its index is searched. A body without a neural clause on the target goes through as it
came. Slots and stamps are left out of the answer unless the request says what it wants of
``_source``.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import orjson
from starlette.responses import Response

from desireline.connectors.documents import Vector
from desireline.sidecar.http.embedded_search import EmbeddedSearch
from desireline.sidecar.http.embeddings import generation_headers
from desireline.sidecar.http.encoding import Encoding
from desireline.sidecar.http.intent import intent_headers
from desireline.sidecar.http.intent_search import meant, too_few
from desireline.sidecar.http.neural import query_texts, rewritten
from desireline.sidecar.http.operations import Operations
from desireline.sidecar.http.refusals import NotFoundError, RequestRefusedError, TooLargeError
from desireline.sidecar.http.requests import Call, json_object
from desireline.sidecar.http.search_parameters import PARAMETERS
from desireline.sidecar.http.settings import HttpSettings
from desireline.sidecar.http.upstream import Upstream
from desireline.sidecar.reports.telemetry import Metrics
from desireline.sidecar.serving.intent import Applied, Use
from desireline.sidecar.serving.live import LiveGeneration, TargetFields

_SOURCE_PARAMETERS = frozenset({"_source", "_source_excludes", "_source_includes", "stored_fields"})


class Search:
    """Answers ``/{index}/_search``."""

    def __init__(
        self,
        operations: Operations,
        encoding: Encoding,
        upstream: Upstream | None,
        embedded: EmbeddedSearch,
        *,
        settings: HttpSettings,
        metrics: Metrics,
    ) -> None:
        self._metrics = metrics
        self._operations = operations
        self._encoding = encoding
        self._upstream = upstream
        self._embedded = embedded
        self._settings = settings

    async def answer(self, call: Call) -> Response:
        """Answer one search."""
        index = call.arguments["index"]
        target = self._operations.target_of_index(index)
        if target is None:
            raise NotFoundError(
                f"no target searches the index {index[:80]!r}",
                next_step="name the index of a target; other indexes are asked at the cluster",
            )
        body = json_object(call.body) if call.body.strip() else {}
        if self._upstream is None:
            return await self._embedded.answer(target, index, call.request.url.query, body)
        return await self._proxied(self._upstream, call, target, index, body)

    async def refuse_many(self, _call: Call) -> Response:
        """Refuse ``_msearch`` by name."""
        raise RequestRefusedError(
            "_msearch is not offered by the sidecar",
            next_step="send each search to /{index}/_search; connections are kept open",
        )

    async def _proxied(
        self, upstream: Upstream, call: Call, target: str, index: str, body: dict[str, Any]
    ) -> Response:
        fields = self._operations.fields(target)
        texts = query_texts(body, fields.answerable, longest=self._settings.max_text_characters)
        parameters = _parameters(call.request.url.query, body, fields)
        accept = call.request.headers.get("accept-encoding", "identity")
        if not texts:
            return await upstream.search(quote(index, safe=""), parameters, call.body, accept)
        if len(texts) > self._settings.max_texts:
            raise TooLargeError(f"the search holds more than {self._settings.max_texts} clauses")
        live = self._operations.live(target)
        vectors = await self._encoding.encode(live.encoder, texts, "query")
        ask = partial(upstream.search, quote(live.index, safe=""), parameters)
        prepared = partial(_prepared, body, fields, live, list(vectors))
        intents = self._operations.intents(target)
        served = intents.for_search(live)
        applied = [] if served is None else served.applied(vectors)
        uses: list[Use] = [each.use for each in applied]
        if "filter" in uses:
            answer = await ask(prepared(applied), "identity")
            if too_few(answer, body, call.request.query_params, intents.config.min_hits):
                uses = ["unfiltered" if use == "filter" else use for use in uses]
                answer = await ask(prepared([]), accept)
        else:
            answer = await ask(prepared(applied), accept)
        answer.headers.update(generation_headers(live))
        for use in uses:
            self._metrics.intent(target, use)
        if applied:
            answer.headers.update(intent_headers(applied[0], uses[0]))
        return answer


def _prepared(
    body: dict[str, Any],
    fields: TargetFields,
    live: LiveGeneration,
    vectors: list[Vector],
    applied: Sequence[Applied],
) -> bytes:
    """Return the body as the cluster understands it."""
    similarity = live.encoder.similarity
    changed = rewritten(
        body,
        fields.answerable,
        live.slot,
        vectors,
        generation=live.stamp_number,
        meant=[meant(each, similarity) for each in applied],
    )
    return orjson.dumps(changed, option=orjson.OPT_SERIALIZE_NUMPY)


def _parameters(query: str, body: dict[str, Any], fields: TargetFields) -> str:
    given = parse_qsl(query, keep_blank_values=True)
    refused = sorted({name for name, _ in given} - PARAMETERS)
    if refused:
        raise RequestRefusedError(
            f"the parameter {refused[0][:80]!r} of a search is not passed on",
            parameter=refused[0][:80],
        )
    says_source = {"_source", "stored_fields"} & body.keys()
    if not says_source and not _SOURCE_PARAMETERS & {name for name, _ in given}:
        given.append(("_source_excludes", ",".join(fields.bulky)))
    return urlencode(given, quote_via=quote)
