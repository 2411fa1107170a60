"""Neural clauses become knn clauses, and nothing else changes."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desireline.sidecar.http.neural import MAX_DEPTH, query_texts, rewritten
from desireline.sidecar.http.refusals import RequestRefusedError

FIELDS = frozenset({"embedding", "embedding__a", "embedding__b"})
SLOT = "embedding__b"
GENERATION = 7
OF_GENERATION = {"term": {"embedding__b_stamp.generation": 7}}


def texts_of(body: dict) -> list[str]:
    return query_texts(body, FIELDS, longest=100)


def rewrite(body: dict) -> dict:
    vectors = [np.full(2, place, dtype=np.float32) for place in range(len(texts_of(body)))]
    return rewritten(body, FIELDS, SLOT, vectors, generation=GENERATION)


def neural(text: str = "tea", **options) -> dict:
    return {"neural": {"embedding": {"query_text": text, **options}}}


def knn(place: int, **options) -> dict:
    options.setdefault("filter", OF_GENERATION)
    return {"knn": {SLOT: {"vector": [float(place)] * 2, **options}}}


def plain(node):
    """The same with vectors as lists, to compare."""
    if isinstance(node, dict):
        return {name: plain(part) for name, part in node.items()}
    if isinstance(node, list):
        return [plain(part) for part in node]
    return node.tolist() if isinstance(node, np.ndarray) else node


AROUND = [
    lambda q: {"query": q},
    lambda q: {"query": {"bool": {"must": q, "filter": [{"term": {"brand": "x"}}]}}},
    lambda q: {"query": {"bool": {"should": [{"match": {"title": "tea"}}, q], "boost": 2}}},
    lambda q: {"query": {"bool": {"must_not": [q]}}},
    lambda q: {"query": {"hybrid": {"queries": [{"match_all": {}}, q]}}},
    lambda q: {"query": {"nested": {"path": "parts", "query": q, "score_mode": "max"}}},
    lambda q: {"query": {"function_score": {"query": q, "functions": [{"weight": 2}]}}},
    lambda q: {"query": {"function_score": {"functions": [{"filter": q, "weight": 2}]}}},
    lambda q: {"query": {"script_score": {"query": q, "script": {"source": "_score * 2"}}}},
    lambda q: {"query": {"dis_max": {"queries": [q], "tie_breaker": 0.7}}},
    lambda q: {"query": {"constant_score": {"filter": q}}},
    lambda q: {"query": {"boosting": {"positive": q, "negative": {"match_all": {}}}}},
    lambda q: {"query": {"match_all": {}}, "post_filter": q},
    lambda q: {"query": {"match_all": {}}, "rescore": [{"query": {"rescore_query": q}}]},
    lambda q: {"aggs": {"near": {"filter": q, "aggs": {"brand": {"terms": {"field": "b"}}}}}},
    lambda q: {"highlight": {"fields": {"title": {"highlight_query": q}}}},
]


@pytest.mark.parametrize("around", AROUND)
def test_a_clause_is_found_wherever_a_query_can_stand(around) -> None:
    assert texts_of(around(neural("red shoes"))) == ["red shoes"]
    assert plain(rewrite(around(neural("red shoes")))) == around(knn(0, k=10))


def test_options_of_the_clause_are_kept() -> None:
    body = {"query": neural(k=50, boost=2.0, filter={"term": {"a": 1}}, model_id="abc")}
    both = {"bool": {"filter": [OF_GENERATION, {"term": {"a": 1}}]}}
    kept = knn(0, k=50, boost=2.0, filter=both)
    assert plain(rewrite(body)) == {"query": kept}


@pytest.mark.parametrize("threshold", ["min_score", "max_distance"])
def test_a_threshold_replaces_k(threshold: str) -> None:
    assert plain(rewrite({"query": neural(**{threshold: 0.7})})) == {
        "query": knn(0, **{threshold: 0.7})
    }


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_vector_and_slots_all_mean_the_live_slot(field: str) -> None:
    assert plain(rewrite({"query": {"neural": {field: {"query_text": "x"}}}})) == {
        "query": knn(0, k=10)
    }


def test_several_clauses_keep_their_order_even_inside_a_filter() -> None:
    inner = neural("inner")
    body = {"query": {"bool": {"should": [neural("a"), neural("b", filter=inner), neural("c")]}}}
    texts = texts_of(body)
    assert sorted(texts) == ["a", "b", "c", "inner"]
    vectors = [np.array([ord(text[0])], dtype=np.float32) for text in texts]
    changed = rewritten(body, FIELDS, SLOT, vectors, generation=GENERATION)
    should = changed["query"]["bool"]["should"]
    found = [clause["knn"][SLOT]["vector"][0] for clause in should]
    assert found == [ord("a"), ord("b"), ord("c")]
    (_, filtered) = should[1]["knn"][SLOT]["filter"]["bool"]["filter"]
    assert filtered["knn"][SLOT]["vector"][0] == ord("i")


@pytest.mark.parametrize(
    "body",
    [
        {"query": {"neural": {"other_field": {"query_text": "x", "model_id": "m"}}}},
        {"query": {"match": {"neural": "embedding"}}},
        {"query": {"match": {"neural": {"query": "embedding"}}}},
        {"query": {"term": {"embedding": "neural"}}},
        {"aggs": {"neural": {"terms": {"field": "embedding"}}}},
        {"query": {"script": {"script": {"params": neural("not a query")}}}},
        {"ext": neural("not a query")},
        {"query": {"neural": "embedding"}},
        {"query": {"neural": ["embedding"]}},
    ],
)
def test_what_only_looks_like_a_clause_is_left_alone(body: dict) -> None:
    assert texts_of(body) == []
    assert rewrite(body) == body


@pytest.mark.parametrize(
    ("clause", "said"),
    [
        ({"neural": {"embedding": {"k": 5}}}, "needs a query_text"),
        ({"neural": {"embedding": {"query_text": " "}}}, "needs a query_text"),
        ({"neural": {"embedding": {"query_text": 5}}}, "needs a query_text"),
        ({"neural": {"embedding": {"query_text": "x" * 101}}}, "longer than 100"),
        ({"neural": {"embedding": {"query_text": "x", "query_image": "aa"}}}, "holds an image"),
        ({"neural": {"embedding": "x"}}, "must hold an object"),
        ({"neural": {"embedding": {"query_text": "x"}, "b": {}}}, "must stand alone"),
        ({"neural": {"embedding": {"query_text": "x"}}, "boost": 2}, "must stand alone"),
    ],
)
def test_a_clause_that_cannot_be_answered_is_refused_with_its_place(clause, said: str) -> None:
    with pytest.raises(RequestRefusedError, match=said) as caught:
        texts_of({"query": {"bool": {"must": [clause]}}})
    assert "query.bool.must[0].neural" in str(caught.value)


def test_a_body_nested_too_deeply_is_refused() -> None:
    body: dict = {}
    for _ in range(MAX_DEPTH * 2):
        body = {"bool": body}
    with pytest.raises(RequestRefusedError, match="nested deeper"):
        texts_of(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["bool", "must", "filter", "a", "_source"]), inner)
    ),
    max_leaves=12,
)


@given(JSON.filter(lambda node: isinstance(node, dict)))
def test_a_body_without_a_clause_comes_out_as_it_went_in(body: dict) -> None:
    before = copy.deepcopy(body)
    assert rewrite(body) == body == before


@st.composite
def with_clauses(draw) -> tuple[dict, dict, list[str]]:
    """A body with clauses, the same as it should come out, and its texts in order."""
    texts: list[str] = []

    def build(depth: int):
        kind = draw(st.sampled_from(["leaf", "clause", "list", "dict"] if depth < 4 else ["leaf"]))
        if kind == "clause":
            text = f"text {len(texts)}"
            texts.append(text)
            return neural(text, k=3), knn(len(texts) - 1, k=3)
        if kind == "leaf":
            leaf = draw(st.integers() | st.text(max_size=3))
            return leaf, leaf
        if kind == "list":
            pairs = [build(depth + 1) for _ in range(draw(st.integers(0, 3)))]
            return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        names = draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=3))
        parts = {name: build(depth + 1) for name in names}
        return {n: p[0] for n, p in parts.items()}, {n: p[1] for n, p in parts.items()}

    given_body, expected = build(0)
    return {"query": given_body}, {"query": expected}, texts


@given(with_clauses())
def test_everything_outside_the_clauses_is_unchanged(case) -> None:
    body, expected, texts = case
    before = copy.deepcopy(body)
    assert texts_of(body) == texts
    assert plain(rewrite(body)) == expected
    assert body == before
