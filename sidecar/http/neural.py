"""``neural`` clauses of a search become ``knn`` clauses; nothing else of the body changes.

A clause is recognised by its shape, ``{"neural": {<a field of the target>: {...}}}``, wherever
a search body can hold a query: bool, hybrid, nested, function_score, filters, rescore,
aggregations and whatever is added later. A clause on a field that is not the target's is left
for the cluster to answer. Scripts and their parameters are never looked into.

Vector, field and documents come from one generation, which the caller took once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from desireline.connectors.documents import Vector
from desireline.connectors.engines.opensearch_mapping import of_generation
from desireline.sidecar.http.refusals import RequestRefusedError

#: Neighbours when a clause says neither k nor a threshold, as the neural-search plugin has it.
DEFAULT_K = 10

#: What lies under these is never a query.
OPAQUE = frozenset({"script", "params", "ext", "_source", "stored_fields"})

#: Deeper bodies are refused; OpenSearch itself allows 30 nested bool clauses.
MAX_DEPTH = 120

_Answer = Callable[[dict[str, Any], str], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """What one clause makes of what its query means."""

    #: Filters that hold beside the clause's own.
    filters: tuple[dict[str, Any], ...] = ()
    #: Filters whose documents come nearer, and by how much of the clause's score.
    should: tuple[tuple[dict[str, Any], float], ...] = ()


_NOTHING = Meant()


def query_texts(body: Mapping[str, Any], fields: frozenset[str], *, longest: int) -> list[str]:
    """Return the texts of the neural clauses, in the order of `rewritten`.

    Raises:
        RequestRefusedError: a clause has no usable text, or the body is nested too deeply.

    """
    texts: list[str] = []

    def collect(options: dict[str, Any], place: str) -> dict[str, Any]:
        texts.append(_text(options, place, longest))
        return {}

    _walk(body, fields, collect, "", 0)
    return texts


def rewritten(
    body: Mapping[str, Any],
    fields: frozenset[str],
    slot: str,
    vectors: Sequence[Vector],
    *,
    generation: int,
    meant: Sequence[Meant] = (),
) -> dict[str, Any]:
    """Return the body with its neural clauses as knn clauses on `slot`, vectors in order.

    Each is filtered to the documents of the generation, beside what the clause filters by itself,
    and filtered or boosted by what its query means where `meant` is given, one a clause.
    """
    remaining, asked = iter(vectors), iter(meant)
    stamped = of_generation(slot, generation)

    def answer(options: dict[str, Any], _place: str) -> dict[str, Any]:
        kept = {name: options[name] for name in options if name not in {"query_text", "model_id"}}
        if not kept.keys() & {"k", "min_score", "max_distance"}:
            kept["k"] = DEFAULT_K
        wanted = next(asked, _NOTHING)
        asides = [kept["filter"]] if "filter" in kept else []
        all_of = [stamped, *asides, *wanted.filters]
        kept["filter"] = {"bool": {"filter": all_of}} if len(all_of) > 1 else stamped
        clause = {"knn": {slot: {"vector": next(remaining), **kept}}}
        if not wanted.should:
            return clause
        return {"bool": {"must": [clause], "should": _raised(wanted.should, kept)}}

    changed: dict[str, Any] = _walk(body, fields, answer, "", 0)
    return changed


def _raised(
    should: Sequence[tuple[dict[str, Any], float]], options: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return what raises documents, as much more as the clause's own scores are raised."""
    own = options.get("boost", 1.0)
    times = float(own) if isinstance(own, int | float) else 1.0
    return [{"constant_score": {"filter": only, "boost": times * more}} for only, more in should]


def _walk(node: Any, fields: frozenset[str], answer: _Answer, place: str, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise RequestRefusedError(f"the search is nested deeper than {MAX_DEPTH} levels")
    if isinstance(node, list):
        return [
            _walk(part, fields, answer, f"{place}[{i}]", depth + 1) for i, part in enumerate(node)
        ]
    if not isinstance(node, dict):
        return node
    clause = _clause(node, fields, place)
    if clause is None:
        return {
            name: part
            if name in OPAQUE
            else _walk(part, fields, answer, f"{place}.{name}", depth + 1)
            for name, part in node.items()
        }
    options = dict(clause)
    if "filter" in options:
        inside = f"{place}.neural.filter"
        options["filter"] = _walk(options["filter"], fields, answer, inside, depth + 1)
    return answer(options, f"{place}.neural".lstrip("."))


def _clause(node: dict[str, Any], fields: frozenset[str], place: str) -> dict[str, Any] | None:
    named = node.get("neural")
    if not isinstance(named, dict) or not named.keys() & fields:
        return None
    where = f"{place}.neural".lstrip(".")
    if len(node) > 1 or len(named) > 1:
        raise RequestRefusedError(f"{where} must stand alone and name one field", parameter=where)
    (options,) = named.values()
    if not isinstance(options, dict):
        raise RequestRefusedError(f"{where} must hold an object with query_text", parameter=where)
    return options


def _text(options: dict[str, Any], place: str, longest: int) -> str:
    text = options.get("query_text")
    if "query_image" in options:
        raise RequestRefusedError(f"{place} holds an image; only text is answered", parameter=place)
    if not isinstance(text, str) or not text.strip():
        raise RequestRefusedError(f"{place} needs a query_text that holds words", parameter=place)
    if len(text) > longest:
        raise RequestRefusedError(
            f"the query_text of {place} is longer than {longest:,} characters", parameter=place
        )
    return text
