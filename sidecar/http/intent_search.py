"""What a query means, in OpenSearch's query language; and when a filter left too little."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

from desireline.connectors.search_engine import Similarity
from desireline.sidecar.http.neural import Meant
from desireline.sidecar.serving.intent import Applied

#: Hits that OpenSearch returns where nobody says how many.
_SIZE = 10


def meant(applied: Applied, similarity: Similarity) -> Meant:
    """Return filters, or what raises documents, for one clause.

    OpenSearch scores a cosine c as (1 + c) / 2, and a dot product above 0 as 1 + d.
    """
    scale = 0.5 if similarity == "cosine" else 1.0
    within = applied.within
    return Meant(
        filters=() if within is None else (_terms(applied.field, within.values),),
        should=tuple(
            (_terms(applied.field, (category,)), scale * more) for category, more in applied.nearer
        ),
    )


def too_few(
    answer: Response, body: Mapping[str, Any], parameters: Mapping[str, str], least: int
) -> bool:
    """Whether a filtered search found fewer hits than it must, and than were asked for.

    What cannot be counted (an error, no hits asked for or shown) is enough.
    """
    wanted = min(least, _asked(body, parameters))
    if answer.status_code != HTTPStatus.OK or not wanted:
        return False
    hits = orjson.loads(bytes(answer.body)).get("hits", {}).get("hits")
    return isinstance(hits, list) and len(hits) < wanted


def _asked(body: Mapping[str, Any], parameters: Mapping[str, str]) -> int:
    size = parameters.get("size", body.get("size", _SIZE))
    try:
        return int(size)
    except (TypeError, ValueError):
        return _SIZE


def _terms(field: str, values: tuple[str, ...]) -> dict[str, Any]:
    return {"terms": {field: list(values)}}
