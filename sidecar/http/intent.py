"""``/v1/intent``: which categories of the index queries mean, and how sure that is.

``POST {"target": NAME, "query": TEXT or [TEXT, ...]}`` or ``GET ?target=NAME&query=TEXT``. The
answer names the generation whose encoder read the queries, and the head.
"""

from urllib.parse import quote

import orjson
from starlette.responses import Response

from desireline.sidecar.http.embeddings import generation_headers
from desireline.sidecar.http.encoding import Encoding
from desireline.sidecar.http.operations import Operations
from desireline.sidecar.http.refusals import NotFoundError, RequestRefusedError, TooLargeError
from desireline.sidecar.http.requests import Call, json_object
from desireline.sidecar.http.settings import HttpSettings
from desireline.sidecar.reports.telemetry import Metrics
from desireline.sidecar.serving.intent import Applied, Use, intent_body

_KNOWN = frozenset({"target", "query"})


class IntentAnswers:
    """Answers ``/v1/intent``."""

    def __init__(
        self,
        operations: Operations,
        encoding: Encoding,
        settings: HttpSettings,
        metrics: Metrics,
    ) -> None:
        self._operations = operations
        self._encoding = encoding
        self._settings = settings
        self._metrics = metrics

    async def answer(self, call: Call) -> Response:
        """Say what each query means."""
        target, texts = self._asked(call)
        live = self._operations.live(target)
        served = self._operations.intents(target).require(live)
        vectors = await self._encoding.encode(live.encoder, texts, "query")
        intents = served.read(vectors)
        for intent in intents:
            self._metrics.intent(target, "told" if intent.sure else "abstained")
        body = orjson.dumps(intent_body(live, served, intents))
        return Response(body, media_type="application/json", headers=generation_headers(live))

    def _asked(self, call: Call) -> tuple[str, list[str]]:
        if call.request.method == "POST":
            given = json_object(call.body)
        else:
            given = dict(call.request.query_params)
        unknown = sorted(given.keys() - _KNOWN)
        if unknown:
            raise RequestRefusedError(
                f"{unknown[0][:80]!r} is not a field of an intent request", parameter=unknown[0]
            )
        return self._target(given.get("target")), self._texts(given.get("query"))

    def _target(self, name: object) -> str:
        known = self._operations.targets()
        if isinstance(name, str) and name in known:
            return name
        raise NotFoundError(
            f"no target is called {str(name)[:80]!r}",
            next_step=f"name one of {', '.join(known)} as target",
            parameter="target",
        )

    def _texts(self, given: object) -> list[str]:
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not texts:
            raise RequestRefusedError("query must be a text or a list of texts", parameter="query")
        if len(texts) > self._settings.max_texts:
            raise TooLargeError(
                f"query holds {len(texts):,} texts, more than {self._settings.max_texts}",
                next_step="send them in several requests",
                parameter="query",
            )
        longest = self._settings.max_text_characters
        for place, text in enumerate(texts):
            if not isinstance(text, str) or not text.strip():
                raise RequestRefusedError(f"query[{place}] holds no word", parameter="query")
            if len(text) > longest:
                raise TooLargeError(
                    f"query[{place}] is longer than {longest:,} characters", parameter="query"
                )
        return texts


def intent_headers(applied: Applied, use: Use) -> dict[str, str]:
    """Return the header that says what a search made of what its query means."""
    named = ",".join(quote(guess.category) for guess in applied.intent.guesses)
    told = f"{use}; confidence={applied.intent.confidence:.2f}; categories={named}"
    return {"X-Desireline-Intent": told}
