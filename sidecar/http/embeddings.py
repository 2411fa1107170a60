"""``/v1/embeddings``: vectors of the live generation, asked for as OpenAI's clients do.

Beside OpenAI's fields the answer names the generation, its field in the index and the encoder's
fingerprint, and the request may say ``input_type``: ``query`` (default) or ``document``.
``usage`` counts words, because the encoder's port does not tell tokens.
"""

import base64
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from starlette.responses import Response

from desireline.connectors.documents import Vectors
from desireline.sidecar.http.encoding import Encoding, Kind
from desireline.sidecar.http.operations import Operations
from desireline.sidecar.http.refusals import (
    NotFoundError,
    RequestRefusedError,
    SpaceConflictError,
    TooLargeError,
)
from desireline.sidecar.http.requests import Call, json_object
from desireline.sidecar.http.settings import HttpSettings
from desireline.sidecar.serving.live import LiveGeneration

_FINGERPRINT = re.compile(r"(sha256:)?[0-9a-f]{16,64}")
_KNOWN = frozenset({"input", "model", "encoding_format", "input_type", "dimensions", "user"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    texts: list[str]
    model: str
    kind: Kind
    base64: bool


class Embeddings:
    """Answers ``/v1/embeddings``."""

    def __init__(self, operations: Operations, encoding: Encoding, settings: HttpSettings) -> None:
        self._operations = operations
        self._encoding = encoding
        self._settings = settings

    async def answer(self, call: Call) -> Response:
        """Encode the texts by the live generation of the target that `model` names."""
        asked = _asked(json_object(call.body), self._settings)
        live = self._live(asked.model)
        vectors = await self._encoding.encode(live.encoder, asked.texts, asked.kind)
        body = orjson.dumps(_answer(asked, live, vectors), option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(body, media_type="application/json", headers=generation_headers(live))

    def _live(self, model: str) -> LiveGeneration:
        targets = self._operations.targets()
        if model in targets:
            return self._operations.live(model)
        if not _FINGERPRINT.fullmatch(model):
            raise NotFoundError(
                f"no target is called {model[:80]!r}",
                next_step=f"name one of {', '.join(targets)}, or the fingerprint of an encoder",
                parameter="model",
            )
        for target in targets:
            live = self._operations.live(target)
            if live.fingerprint == model:
                return live
        raise SpaceConflictError(
            f"the encoder {model[:20]}… is not live, so no vector was made",
            next_step="read the live generation again, and search the field that it names",
            parameter="model",
        )


def generation_headers(live: LiveGeneration) -> dict[str, str]:
    """Return the headers that name the generation an answer comes from.

    The stamp is what `<field>_stamp.generation` must be for a vector to count: of a query encoder
    over another one's vectors it is the number of that one's generation.
    """
    return {
        "X-Desireline-Generation": str(live.number),
        "X-Desireline-Field": live.slot,
        "X-Desireline-Stamp": str(live.stamp_number),
    }


def _asked(body: dict[str, Any], settings: HttpSettings) -> _Asked:
    unknown = sorted(body.keys() - _KNOWN)
    if unknown:
        raise RequestRefusedError(
            f"{unknown[0][:80]!r} is not a field of an embeddings request", parameter=unknown[0]
        )
    if body.get("dimensions") is not None:
        raise RequestRefusedError(
            "vectors cannot be shortened: they must match the field they are compared with",
            next_step="leave out dimensions",
            parameter="dimensions",
        )
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise RequestRefusedError("model must name a target or a fingerprint", parameter="model")
    form = body.get("encoding_format", "float")
    if form not in ("float", "base64"):
        raise RequestRefusedError(
            "encoding_format must be float or base64", parameter="encoding_format"
        )
    kind = body.get("input_type", "query")
    if kind not in ("query", "document"):
        raise RequestRefusedError("input_type must be query or document", parameter="input_type")
    texts = _texts(body.get("input"), settings)
    return _Asked(texts=texts, model=model, kind=kind, base64=form == "base64")


def _texts(given: object, settings: HttpSettings) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise RequestRefusedError("input must be a text or a list of texts", parameter="input")
    if len(texts) > settings.max_texts:
        raise TooLargeError(
            f"input holds {len(texts):,} texts, more than {settings.max_texts}",
            next_step="send them in several requests",
            parameter="input",
        )
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise RequestRefusedError(
                f"input[{place}] is not a text; lists of tokens are not answered",
                next_step="with LangChain, set check_embedding_ctx_length=False",
                parameter="input",
            )
        if not text.strip():
            raise RequestRefusedError(f"input[{place}] holds no word", parameter="input")
        if len(text) > settings.max_text_characters:
            raise TooLargeError(
                f"input[{place}] is longer than {settings.max_text_characters:,} characters",
                parameter="input",
            )
    return texts


def _answer(asked: _Asked, live: LiveGeneration, vectors: Vectors) -> dict[str, Any]:
    little_endian = np.ascontiguousarray(vectors, dtype="<f4")
    words = sum(len(text.split()) for text in asked.texts)
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": place,
                "embedding": base64.b64encode(vector.tobytes()).decode()
                if asked.base64
                else vector,
            }
            for place, vector in enumerate(little_endian)
        ],
        "model": asked.model,
        "usage": {"prompt_tokens": words, "total_tokens": words},
        "generation": live.number,
        "field": live.slot,
        "stamp": live.stamp_number,
        "fingerprint": live.fingerprint,
    }
