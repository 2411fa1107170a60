"""What queries mean, told at /v1/intent and used by searches."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import numpy as np
import pytest
from structlog.testing import capture_logs

from desireline.sidecar.configuration.intent import IntentConfig
from desireline.sidecar.http.app import create_app
from desireline.sidecar.http.server import Server
from desireline.sidecar.serving.intent import Intents
from desireline.sidecar.serving.live import ClusterAddress
from desireline.trainer.errors import IntentHeadChangedError
from desireline.trainer.intent.head import IntentHead
from desireline.trainer.intent.storing import IntentManifest, digest_of

KINDS = {"p1": "wear", "p2": "wear", "p3": "kitchen", "p4": "kitchen"}
#: Queries whose words a head knows, and what they mean.
KNOWN = {"shoes": "wear", "kettle": "kitchen"}


def head_of(encoder, *, sharpness: float = 30.0) -> IntentHead:
    """A head that knows the words `shoes` and `kettle`, and is unsure of all others."""
    vectors = encoder.encode_queries(list(KNOWN))
    aside = (vectors[0] - vectors[1]) / np.linalg.norm(vectors[0] - vectors[1])
    return IntentHead(
        encoder=encoder.fingerprint,
        categories=("wear", "kitchen"),
        weights=(sharpness * np.stack([aside, -aside], axis=1)).astype(np.float32),
        bias=np.zeros(2, dtype=np.float32),
        temperature=1.0,
    )


def manifest_of(head: IntentHead) -> IntentManifest:
    return IntentManifest.of(
        head,
        target="products",
        field="kind",
        filter_field="kind.keyword",
        cycle="c",
        queries=2,
        titles=0,
        seed=0,
        created_at="2026-11-22T00:00:00Z",
    )


def appoint(sidecar, use: str = "off", *, heads=None, **more) -> None:
    """Let heads serve, by encoder; on the embedded engine the field is filtered by its own name."""
    if not sidecar.heads.config.category:
        for key, kind in KINDS.items():
            sidecar.engine.update_fields("shop", key, {"kind": kind})
    if heads is None:
        heads = {e.fingerprint: head_of(e) for e in sidecar.encoders.values()}
    known = {digest_of(head): head for head in heads.values()}

    def load(digest):
        told = manifest_of(known[digest])
        embedded = sidecar.address is None
        return known[digest], told.model_copy(
            update={"filter_field": "kind" if embedded else told.filter_field}
        )

    sidecar.heads = Intents(
        target="products",
        config=IntentConfig(category="kind", use=use, **more),
        appointed=lambda encoder: digest_of(heads[encoder]) if encoder in heads else None,
        load=load,
    )


def search(client, text: str, **more):
    query = {"neural": {"embedding": {"query_text": text, "k": 4}}}
    return client.post("/shop/_search", json={"query": query, **more})


def ids(answer) -> list[str]:
    return [hit["_id"] for hit in answer.json()["hits"]["hits"]]


def test_intent_is_told_by_the_encoder_that_serves(sidecar, client) -> None:
    appoint(sidecar)
    body = {"target": "products", "query": ["shoes", "kettle", "zeppelin"]}
    answer = client("search").post("/v1/intent", json=body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["target"], told["field"], told["generation"]) == ("products", "kind", 7)
    assert told["fingerprint"] == sidecar.encoders[7].fingerprint
    assert told["head"] == digest_of(head_of(sidecar.encoders[7]))
    first, second, third = told["data"]
    assert first["categories"] == [{"category": "wear", "confidence": first["confidence"]}]
    assert first["sure"]
    assert first["confidence"] > 0.9
    assert second["categories"][0]["category"] == "kitchen"
    assert third["index"] == 2
    assert answer.headers["x-desireline-generation"] == "7"


def test_get_asks_the_same_of_one_query(sidecar, client) -> None:
    appoint(sidecar)
    asked = {"target": "products", "query": "shoes"}
    one = client("search").get("/v1/intent", params=asked).json()
    assert one == client("search").post("/v1/intent", json=asked).json()


def test_after_a_swap_the_other_encoders_head_answers_and_never_the_old_one(
    sidecar, client
) -> None:
    appoint(sidecar)
    asked = {"target": "products", "query": "shoes"}
    before = client("search").post("/v1/intent", json=asked).json()
    sidecar.revert("products")
    after = client("search").post("/v1/intent", json=asked).json()
    assert (before["generation"], after["generation"]) == (7, 6)
    assert after["head"] == digest_of(head_of(sidecar.encoders[6])) != before["head"]
    assert after["data"][0]["categories"][0]["category"] == "wear"


def test_a_head_of_another_encoder_is_refused_and_searches_go_on_without(sidecar, client) -> None:
    wrong = {sidecar.encoders[7].fingerprint: head_of(sidecar.encoders[6])}
    appoint(sidecar, "filter", heads=wrong)
    with capture_logs() as logs:
        refused = client("search").post("/v1/intent", json={"target": "products", "query": "shoes"})
    assert refused.status_code == 409
    assert "no intent head for the encoder" in refused.json()["error"]["reason"]
    assert [log["event"] for log in logs].count("intent head of another encoder not used") == 1
    answer = search(client("search"), "shoes")
    assert answer.status_code == 200
    assert "x-desireline-intent" not in answer.headers


def test_a_head_that_was_changed_on_the_disk_is_not_used(sidecar, client) -> None:
    appoint(sidecar, "boost")

    def broken(_head):
        raise IntentHeadChangedError("the intent head is not as it was stored")

    sidecar.heads.load = broken
    assert "x-desireline-intent" not in search(client("search"), "shoes").headers


def test_without_a_head_it_is_said_what_to_do(sidecar, client) -> None:
    asked = {"target": "products", "query": "shoes"}
    off = client("search").post("/v1/intent", json=asked)
    assert off.status_code == 409
    assert "[targets.products.intent]" in off.json()["error"]["next_step"]
    appoint(sidecar, heads={})
    none = client("search").post("/v1/intent", json=asked)
    assert none.status_code == 409
    assert "desireline tune products" in none.json()["error"]["next_step"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"target": "products"}, 400),
        ({"target": "products", "query": ""}, 400),
        ({"target": "products", "query": []}, 400),
        ({"target": "products", "query": ["a", 5]}, 400),
        ({"target": "products", "query": "a", "k": 3}, 400),
        ({"target": "other", "query": "a"}, 404),
        ({"query": "a"}, 404),
        ({"target": "products", "query": "a" * 9_000}, 413),
        ({"target": "products", "query": ["a"] * 300}, 413),
    ],
)
def test_what_cannot_be_answered_is_refused_by_name(sidecar, client, body, status) -> None:
    appoint(sidecar)
    assert client("search").post("/v1/intent", json=body).status_code == status


def test_a_key_that_searches_opens_it_and_others_do_not(sidecar, client, anyone) -> None:
    appoint(sidecar)
    asked = {"target": "products", "query": "shoes"}
    assert anyone.post("/v1/intent", json=asked).status_code == 401
    assert client("embed").post("/v1/intent", json=asked).status_code == 403
    assert client("admin").post("/v1/intent", json=asked).status_code == 200


# Searches on an embedded engine.


def test_a_sure_intent_filters_and_an_unsure_one_does_not(sidecar, client, metrics) -> None:
    plain = ids(search(client("search"), "kettle"))
    assert set(plain) == set(KINDS)
    appoint(sidecar, "filter", min_hits=2)
    filtered = search(client("search"), "kettle")
    assert ids(filtered) == [each for each in plain if KINDS[each] == "kitchen"]
    told = filtered.headers["x-desireline-intent"]
    assert told.startswith("filter; confidence=")
    assert told.endswith("categories=kitchen")
    appoint(sidecar, "filter", min_confidence=0.999, max_categories=1)
    unsure = search(client("search"), "shoes kettle")
    assert set(ids(unsure)) == set(KINDS)
    assert unsure.headers["x-desireline-intent"].startswith("abstained")
    counted = metrics.render().decode()
    for use in ("filter", "abstained"):
        assert f'desireline_intents_total{{target="products",use="{use}"}} 1.0' in counted


def test_a_filter_that_leaves_too_few_answers_is_left_out(sidecar, client) -> None:
    plain = ids(search(client("search"), "kettle"))
    appoint(sidecar, "filter", min_hits=3)
    answer = search(client("search"), "kettle")
    assert ids(answer) == plain
    assert answer.headers["x-desireline-intent"].startswith("unfiltered")


def test_a_boost_brings_documents_of_the_category_nearer_and_loses_none(sidecar, client) -> None:
    plain = search(client("search"), "tea kettle rain").json()["hits"]["hits"]
    appoint(sidecar, "boost", boost=1.0)
    answer = search(client("search"), "tea kettle rain")
    boosted = answer.json()["hits"]["hits"]
    assert [KINDS[hit["_id"]] for hit in boosted] == ["kitchen", "kitchen", "wear", "wear"]
    assert answer.headers["x-desireline-intent"].startswith("boost")
    scores = {hit["_id"]: hit["_score"] for hit in plain}
    (intent,) = head_of(sidecar.encoders[7]).read(
        sidecar.encoders[7].encode_queries(["tea kettle rain"]), min_confidence=0.9, most=3
    )
    by = {guess.category: guess.confidence for guess in intent.guesses}
    for hit in boosted:
        raised = scores[hit["_id"]] + by.get(KINDS[hit["_id"]], 0.0)
        assert hit["_score"] == pytest.approx(raised, abs=1e-5)


def test_where_intent_is_off_searches_are_as_they_were(sidecar, client) -> None:
    plain = search(client("search"), "kettle")
    appoint(sidecar, "off")
    same = search(client("search"), "kettle")
    assert ids(same) == ids(plain)
    assert "x-desireline-intent" not in same.headers


# Searches through the proxy.


class Cluster(BaseHTTPRequestHandler):
    """A cluster that finds one hit where it is filtered by a kind, and ten otherwise."""

    asked: list[dict]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        found = 1 if "kind.keyword" in json.dumps(body["query"].get("knn", {})) else 10
        hits = [{"_id": f"d{n}", "_score": 1.0} for n in range(found)]
        answer = json.dumps({"hits": {"hits": hits[: body.get("size", 10)]}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def cluster() -> Iterator[tuple[list[dict], str]]:
    handler = type("Asked", (Cluster,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield handler.asked, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def proxied(sidecar, keys, cluster) -> Iterator[httpx.Client]:
    sidecar.address = ClusterAddress(url=cluster[1])
    headers = {"X-API-Key": keys.create("shop", ["search"])}
    with (
        Server(create_app(sidecar, keys)) as server,
        httpx.Client(base_url=server.url, headers=headers, timeout=60) as found,
    ):
        yield found


OF_GENERATION = {"term": {"embedding__b_stamp.generation": 7}}


def test_a_filter_goes_beside_the_stamp_and_the_clauses_own(sidecar, proxied, cluster) -> None:
    appoint(sidecar, "filter", min_hits=1)
    own = {"range": {"price": {"lt": 9}}}
    clause = {"neural": {"embedding": {"query_text": "shoes", "k": 3, "filter": own}}}
    answer = proxied.post("/shop/_search", json={"query": clause})
    (asked,) = cluster[0]
    kept = asked["query"]["knn"]["embedding__b"]["filter"]["bool"]["filter"]
    assert kept == [OF_GENERATION, own, {"terms": {"kind.keyword": ["wear"]}}]
    assert answer.headers["x-desireline-intent"].startswith("filter")
    assert len(answer.json()["hits"]["hits"]) == 1


@pytest.mark.parametrize(
    ("more", "parameters", "times"),
    [
        ({}, {}, 2),
        ({"size": 1}, {}, 1),
        ({"size": 0}, {}, 1),
        ({"size": 10}, {"size": "1"}, 1),
        ({"size": 2}, {}, 2),
    ],
)
def test_a_search_that_found_too_few_is_asked_again_without_the_filter(
    sidecar, proxied, cluster, more, parameters, times
) -> None:
    appoint(sidecar, "filter", min_hits=5)
    clause = {"neural": {"embedding": {"query_text": "shoes", "k": 10}}}
    answer = proxied.post("/shop/_search", json={"query": clause, **more}, params=parameters)
    assert len(cluster[0]) == times
    use = answer.headers["x-desireline-intent"].split(";")[0]
    assert use == ("unfiltered" if times == 2 else "filter")
    if times == 2:
        assert cluster[0][1]["query"]["knn"]["embedding__b"]["filter"] == OF_GENERATION


def test_a_boost_is_a_should_beside_the_neighbours_at_half_a_cosine(
    sidecar, proxied, cluster
) -> None:
    appoint(sidecar, "boost", boost=0.4)
    clause = {"neural": {"embedding": {"query_text": "shoes", "k": 3, "boost": 2.0}}}
    proxied.post("/shop/_search", json={"query": {"hybrid": {"queries": [clause]}}})
    (asked,) = cluster[0]
    (found,) = asked["query"]["hybrid"]["queries"]
    assert found["bool"]["must"][0]["knn"]["embedding__b"]["filter"] == OF_GENERATION
    (should,) = found["bool"]["should"]
    raised = should["constant_score"]
    assert raised["filter"] == {"terms": {"kind.keyword": ["wear"]}}
    assert raised["boost"] == pytest.approx(2.0 * 0.5 * 0.4, rel=0.01)


def test_each_clause_is_filtered_by_its_own_query(sidecar, proxied, cluster) -> None:
    appoint(sidecar, "filter", min_hits=0)
    clauses = [{"neural": {"embedding": {"query_text": text}}} for text in ("shoes", "kettle")]
    proxied.post("/shop/_search", json={"query": {"bool": {"should": clauses}}})
    found = [
        each["knn"]["embedding__b"]["filter"]["bool"]["filter"][1]["terms"]["kind.keyword"]
        for each in cluster[0][0]["query"]["bool"]["should"]
    ]
    assert found == [["wear"], ["kitchen"]]


@pytest.mark.opensearch
@pytest.mark.parametrize(
    ("use", "first", "found"), [("filter", "p3", {"p3"}), ("boost", "p3", {"p1", "p2", "p3"})]
)
def test_on_opensearch_the_category_filters_and_boosts(
    sidecar, keys, opensearch_url, index_prefix, use, first, found
) -> None:
    sidecar.index = f"{index_prefix}shop"
    sidecar.address = ClusterAddress(url=opensearch_url)
    encoder = sidecar.encoders[7]
    vector = {
        "type": "knn_vector",
        "dimension": 32,
        "method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"},
    }
    kind = {"type": "text", "fields": {"keyword": {"type": "keyword"}}}
    properties = {
        "kind": kind,
        "embedding__b": vector,
        "embedding__b_stamp": {"properties": {"generation": {"type": "long"}}},
    }
    texts = {"p1": "kettle shoes", "p2": "kettle kettle shoes", "p3": "tea shoes"}
    with httpx.Client(base_url=opensearch_url, timeout=60) as cluster:
        body = {"settings": {"index.knn": True}, "mappings": {"properties": properties}}
        cluster.put(f"/{sidecar.index}", json=body).raise_for_status()
        for key, text in texts.items():
            document = {
                "kind": "wear" if key != "p3" else "kitchen",
                "embedding__b": encoder.encode_documents([text])[0].tolist(),
                "embedding__b_stamp": {"generation": 7},
            }
            cluster.put(f"/{sidecar.index}/_doc/{key}", json=document).raise_for_status()
        cluster.post(f"/{sidecar.index}/_refresh").raise_for_status()
    appoint(sidecar, use, min_hits=1, boost=1.0)
    headers = {"X-API-Key": keys.create("shop", ["search"])}
    with (
        Server(create_app(sidecar, keys)) as server,
        httpx.Client(base_url=server.url, headers=headers, timeout=60) as shop,
    ):
        query = {"neural": {"embedding": {"query_text": "kettle", "k": 3}}}
        answer = shop.post(f"/{sidecar.index}/_search", json={"query": query})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-desireline-intent"].startswith(use)
    assert ids(answer)[0] == first
    assert set(ids(answer)) == found
