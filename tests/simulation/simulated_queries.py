"""The part of the query language that desireline speaks, over rows in memory."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from simulated_shard import Row

from desireline.connectors.engines.source import look_up

Matches = Callable[[Row], bool]


class UnknownCallError(AssertionError):
    """desireline sent something the simulation has not learned: teach it here."""


def matcher(query: Mapping[str, Any]) -> Matches:
    """Return the test for one query clause."""
    ((kind, body),) = query.items()
    if kind not in _CLAUSES:
        raise UnknownCallError(f"query {kind!r}")
    return _CLAUSES[kind](body)


def _exists(body: Mapping[str, Any]) -> Matches:
    return lambda row: _value(row, body["field"]) is not None


def _ids(body: Mapping[str, Any]) -> Matches:
    wanted = set(body["values"])
    return lambda row: row.document_id in wanted


def _term(body: Mapping[str, Any]) -> Matches:
    ((name, value),) = body.items()
    wanted = value["value"] if isinstance(value, Mapping) else value
    return lambda row: _value(row, name) == wanted


def _terms(body: Mapping[str, Any]) -> Matches:
    ((name, values),) = body.items()
    return lambda row: _value(row, name) in values


def _bool(body: Mapping[str, Any]) -> Matches:
    def each(part: str) -> list[Matches]:
        clauses = body.get(part, [])
        return [matcher(c) for c in ([clauses] if isinstance(clauses, Mapping) else clauses)]

    must, should, without = each("must") + each("filter"), each("should"), each("must_not")
    needed = int(body.get("minimum_should_match", 0 if must else 1))

    def matches(row: Row) -> bool:
        return (
            all(m(row) for m in must)
            and not any(m(row) for m in without)
            and (not should or sum(m(row) for m in should) >= needed)
        )

    return matches


def _range(name: str, limits: Mapping[str, Any]) -> Matches:
    tests = {
        "gt": lambda value, limit: value > limit,
        "gte": lambda value, limit: value >= limit,
        "lt": lambda value, limit: value < limit,
        "lte": lambda value, limit: value <= limit,
    }

    def matches(row: Row) -> bool:
        value = _value(row, name)
        return value is not None and all(tests[how](value, limits[how]) for how in limits)

    return matches


_CLAUSES: Mapping[str, Callable[[Any], Matches]] = {
    "match_all": lambda _: lambda _row: True,
    "match_none": lambda _: lambda _row: False,
    "bool": _bool,
    "exists": _exists,
    "ids": _ids,
    "range": lambda body: _range(*next(iter(body.items()))),
    "term": _term,
    "terms": _terms,
}


def _value(row: Row, name: str) -> Any:
    if name == "_seq_no":
        return row.seq_no
    if name == "_id":
        return row.document_id
    if name == "_routing":
        return row.routing
    return look_up(row.source or {}, name)


def search(rows: Iterable[Row], body: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a search body over the rows of every shard asked."""
    query = body.get("query", {"match_all": {}})
    if "knn" in query:
        found = _nearest(rows, *next(iter(query["knn"].items())))
    else:
        matches = matcher(query)
        found = [(0.0, row) for row in rows if matches(row)]
    answer: dict[str, Any] = {
        "timed_out": False,
        "_shards": {"failed": 0},
        "hits": {"total": {"value": len(found)}, "hits": _page(found, body)},
    }
    if "aggs" in body:
        everything = [row for _, row in found]
        answer["aggregations"] = {
            name: _aggregate(everything, how) for name, how in body["aggs"].items()
        }
    return answer


def _aggregate(rows: Sequence[Row], how: Mapping[str, Any]) -> dict[str, Any]:
    kind = next(name for name in how if name != "aggs")
    if kind == "filter":
        matches = matcher(how["filter"])
        return {"doc_count": sum(map(matches, rows))}
    if kind in {"max", "min"}:
        values = [v for row in rows if (v := _value(row, how[kind]["field"])) is not None]
        return {"value": {"max": max, "min": min}[kind](values, default=None)}
    if kind == "value_count":
        return {"value": sum(_value(row, how[kind]["field"]) is not None for row in rows)}
    raise UnknownCallError(f"aggregation {kind!r}")


def _page(found: list[tuple[float, Row]], body: Mapping[str, Any]) -> list[dict[str, Any]]:
    orders = [_order(each) for each in body.get("sort", ())]
    keyed = [([_sort_value(row, name) for name, _ in orders], score, row) for score, row in found]
    for position in range(len(orders) - 1, -1, -1):
        keyed.sort(key=lambda item: item[0][position], reverse=orders[position][1] == "desc")
    after = body.get("search_after")
    if after is not None:
        assert all(direction == "asc" for _, direction in orders), "search_after descending"
        keyed = [item for item in keyed if item[0] > list(after)]
    size = int(body.get("size", 10))
    return [_hit(row, score, keys, body) for keys, score, row in keyed[:size]]


def _order(each: Any) -> tuple[str, str]:
    if isinstance(each, str):
        return each, "asc"
    ((name, how),) = each.items()
    return name, how if isinstance(how, str) else how.get("order", "asc")


def _sort_value(row: Row, name: str) -> Any:
    # Snapshots keep the order of documents; any fixed order will do.
    return row.seq_no if name in {"_doc", "_shard_doc"} else _value(row, name)


def _hit(row: Row, score: float, keys: list[Any], body: Mapping[str, Any]) -> dict[str, Any]:
    hit: dict[str, Any] = {"_id": row.document_id, "_score": score}
    if row.routing is not None:
        hit["_routing"] = row.routing
    if body.get("seq_no_primary_term"):
        hit |= {"_seq_no": row.seq_no, "_primary_term": row.term}
    if body.get("version"):
        hit["_version"] = row.version
    if keys:
        hit["sort"] = keys
    wanted = body.get("_source", True)
    if wanted is not False:
        hit["_source"] = filtered(row.source or {}, wanted)
    return hit


def filtered(source: Mapping[str, Any], wanted: Any) -> dict[str, Any]:
    """Return the part of a source that a `_source` asks for."""
    if wanted is True:
        return dict(source)
    if not isinstance(wanted, Mapping):
        wanted = {"includes": [wanted] if isinstance(wanted, str) else wanted}
    includes, excludes = wanted.get("includes"), wanted.get("excludes", ())
    kept = {}
    for name, value in source.items():
        inner = [part.partition(".")[2] for part in includes or () if part.startswith(f"{name}.")]
        if name in excludes or (includes is not None and name not in includes and not inner):
            continue
        whole = includes is None or name in includes
        kept[name] = value if whole else filtered(value, {"includes": inner})
    return kept


def _nearest(rows: Iterable[Row], field: str, wanted: Mapping[str, Any]) -> list[tuple[float, Row]]:
    """Score as OpenSearch does for cosine: (1 + cosine) / 2."""
    query = wanted["vector"]
    matches = matcher(wanted["filter"])
    scored = []
    for row in filter(matches, rows):
        vector = _value(row, field)
        if vector is not None:
            dot = sum(a * b for a, b in zip(query, vector, strict=True))
            length = math.sqrt(sum(a * a for a in query) * sum(b * b for b in vector)) or 1.0
            scored.append(((1 + dot / length) / 2, row))
    scored.sort(key=lambda item: (-item[0], item[1].document_id))
    return scored[: wanted["k"]]
