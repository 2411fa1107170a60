import pytest

from desireline.sidecar.http.settings import HttpSettings


def search(client, body, **options):
    return client("search").post("/shop/_search", json=body, **options)


def ids(answer) -> list[str]:
    return [hit["_id"] for hit in answer.json()["hits"]["hits"]]


def test_a_neural_clause_is_answered_by_the_live_generation(client) -> None:
    body = {"query": {"neural": {"embedding": {"query_text": "red running shoes", "k": 2}}}}
    answer = search(client, body)
    assert answer.headers["x-desireline-generation"] == "7"
    assert answer.headers["x-desireline-field"] == "embedding__b"
    assert ids(answer)[0] == "p1"
    assert len(ids(answer)) == 2
    hits = answer.json()["hits"]
    assert hits["total"] == {"value": 2, "relation": "eq"}
    assert hits["hits"][0]["_source"]["title"] == "red running shoes"
    assert hits["max_score"] == hits["hits"][0]["_score"]


@pytest.mark.parametrize("text", ["kettle", {"query": "kettle"}])
def test_a_match_on_one_field_is_answered_by_bm25(client, text) -> None:
    answer = search(client, {"query": {"match": {"title": text}}})
    assert ids(answer) == ["p3"]
    assert "x-desireline-generation" not in answer.headers


def test_size_from_and_source_are_heard(client) -> None:
    query = {"neural": {"embedding": {"query_text": "tea", "k": 4}}}
    whole = ids(search(client, {"query": query}))
    assert ids(search(client, {"query": query, "from": 1, "size": 2})) == whole[1:3]
    assert ids(search(client, {"query": query, "size": 1}, params={"from": "0"})) == whole[:1]
    assert search(client, {"query": query, "size": 0}).json()["hits"]["hits"] == []
    for source, expected in (
        (False, None),
        (True, {"title", "description"}),
        (["title"], {"title"}),
    ):
        hit = search(client, {"query": query, "_source": source}).json()["hits"]["hits"][0]
        assert (hit.keys() - {"_index", "_id", "_score"} == set()) == (expected is None)
        assert hit.get("_source", {}).keys() == (expected or set())


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": {}},
        {"query": []},
        {"query": {"match_all": {}}},
        {"query": {"bool": {"must": []}}},
        {"query": {"match": {"title": 5}}},
        {"query": {"match": {"title": "a", "description": "b"}}},
        {"query": {"match": {"secret": "a"}}},
        {"query": {"neural": {"other": {"query_text": "a"}}}},
        {"query": {"neural": {"embedding": {"query_text": "a", "filter": {}}}}},
        {"query": {"neural": {"embedding": {"query_text": "a", "k": -1}}}},
        {"query": {"neural": {"embedding": {"query_text": "a", "k": 1e9}}}},
        {"query": {"neural": {"embedding": {"query_text": "a", "k": True}}}},
        {"query": {"match": {"title": "a"}}, "aggs": {}},
        {"query": {"match": {"title": "a"}}, "size": -1},
        {"query": {"match": {"title": "a"}}, "size": "ten"},
        {"query": {"match": {"title": "a"}}, "from": 10**9},
        {"query": {"match": {"title": "a"}}, "_source": {"includes": ["a"]}},
        {"query": {"match": {"title": "a"}}, "_source": [1]},
    ],
)
def test_what_an_embedded_engine_cannot_answer_is_refused_by_name(client, body: dict) -> None:
    answer = search(client, body)
    assert answer.status_code == 400
    assert answer.json()["error"]["next_step"] or answer.json()["error"]["param"]


def test_an_index_of_no_target_is_not_found(client) -> None:
    for index in ("other", ".desireline-keys", "_all", "shop%2F..%2Fother", "shop,other", "*"):
        assert client("search").post(f"/{index}/_search", json={}).status_code == 404


def test_many_searches_at_once_are_refused_with_the_way_out(client) -> None:
    answer = client("search").post("/shop/_msearch", content="{}\n{}\n")
    assert answer.status_code == 400
    assert "/_search" in answer.json()["error"]["message"]


def test_nothing_live_is_told_as_unavailable_but_match_goes_on(client, sidecar) -> None:
    sidecar.live_number = None
    neural = {"query": {"neural": {"embedding": {"query_text": "tea"}}}}
    assert search(client, neural).status_code == 503
    assert search(client, {"query": {"match": {"title": "tea"}}}).status_code == 200


class TestSmallLimits:
    @pytest.fixture
    def settings(self) -> HttpSettings:
        return HttpSettings(max_text_characters=10)

    def test_long_texts_are_refused(self, client) -> None:
        long = {"query_text": "t" * 11}
        assert search(client, {"query": {"neural": {"embedding": long}}}).status_code == 400
        assert search(client, {"query": {"match": {"title": "t" * 11}}}).status_code == 400
