"""Searches through the sidecar to a cluster."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from desireline.sidecar.http.app import create_app
from desireline.sidecar.http.server import Server
from desireline.sidecar.http.settings import HttpSettings
from desireline.sidecar.serving.live import ClusterAddress

NEURAL = {"query": {"neural": {"embedding": {"query_text": "red running shoes", "k": 3}}}}


@pytest.fixture
def proxied(sidecar, keys) -> Iterator[Callable[..., httpx.Client]]:
    """Return a client with a search key of a sidecar before this cluster."""
    servers: list[Server] = []

    def make(address: ClusterAddress, settings: HttpSettings | None = None) -> httpx.Client:
        sidecar.address = address
        servers.append(Server(create_app(sidecar, keys, settings)).start())
        headers = {"X-API-Key": keys.create("shop", ["search"])}
        return httpx.Client(base_url=servers[-1].url, headers=headers, timeout=60)

    yield make
    for server in servers:
        server.stop()


@pytest.mark.opensearch
class TestOnOpenSearch:
    @pytest.fixture
    def cluster(self, opensearch_url: str, index_prefix: str, sidecar) -> Iterator[httpx.Client]:
        """An index with two filled slots: the live one, and one that ranks the other way."""
        sidecar.index = f"{index_prefix}shop"
        vector = {
            "type": "knn_vector",
            "dimension": 32,
            "method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"},
        }
        stamp = {"properties": {"generation": {"type": "long"}}}
        properties = {"title": {"type": "text"}, "parts": {"type": "nested"}}
        for slot in ("embedding__a", "embedding__b"):
            properties |= {slot: vector, f"{slot}_stamp": stamp}
        with httpx.Client(base_url=opensearch_url, timeout=60) as client:
            body = {"settings": {"index.knn": True}, "mappings": {"properties": properties}}
            client.put(f"/{sidecar.index}", json=body).raise_for_status()
            texts = {"p1": "red running shoes", "p2": "blue rain jacket", "p3": "steel kettle"}
            for document_id, title in texts.items():
                right = sidecar.encoders[7].encode_documents([title])[0]
                document = {
                    "title": title,
                    "embedding__b": right.tolist(),
                    "embedding__a": (-right).tolist(),
                    "embedding__b_stamp": {"generation": 7},
                }
                client.put(f"/{sidecar.index}/_doc/{document_id}", json=document)
            client.post(f"/{sidecar.index}/_refresh").raise_for_status()
            yield client

    @pytest.fixture
    def shop(self, proxied, cluster, opensearch_url: str) -> httpx.Client:
        return proxied(ClusterAddress(url=opensearch_url))

    @staticmethod
    def ids(answer: httpx.Response) -> list[str]:
        return [hit["_id"] for hit in answer.json()["hits"]["hits"]]

    def test_a_neural_clause_is_answered_by_the_live_slot(self, shop, sidecar) -> None:
        answer = shop.post(f"/{sidecar.index}/_search", json=NEURAL)
        assert answer.status_code == 200
        assert self.ids(answer)[0] == "p1"
        assert answer.headers["x-desireline-generation"] == "7"
        assert answer.headers["x-desireline-field"] == "embedding__b"

    def test_vectors_and_stamps_stay_out_unless_asked_for(self, shop, sidecar) -> None:
        address = f"/{sidecar.index}/_search"
        hit = shop.post(address, json=NEURAL).json()["hits"]["hits"][0]
        assert hit["_source"] == {"title": "red running shoes"}
        hit = shop.post(address, json={**NEURAL, "_source": True}).json()["hits"]["hits"][0]
        assert len(hit["_source"]["embedding__b"]) == 32
        hit = shop.post(address, json=NEURAL, params={"_source": "title,embedding__a"}).json()
        assert hit["hits"]["hits"][0]["_source"].keys() == {"title", "embedding__a"}
        hit = shop.get(address).json()["hits"]["hits"][0]
        assert hit["_source"].keys() == {"title"}

    def test_neural_works_inside_a_bool_query_with_a_filter(self, shop, sidecar) -> None:
        clause = {
            "neural": {
                "embedding": {
                    "query_text": "red running shoes",
                    "k": 3,
                    "filter": {"match": {"title": "kettle"}},
                }
            }
        }
        body = {"query": {"bool": {"should": [clause], "minimum_should_match": 1}}}
        assert self.ids(shop.post(f"/{sidecar.index}/_search", json=body)) == ["p3"]

    def test_an_answer_without_neural_is_the_clusters_own(self, shop, cluster, sidecar) -> None:
        address = f"/{sidecar.index}/_search"
        body = {"query": {"match": {"title": "kettle"}}, "_source": ["title"]}
        through, direct = shop.post(address, json=body), cluster.post(address, json=body)
        assert through.headers["content-type"] == direct.headers["content-type"]
        assert {**through.json(), "took": 0} == {**direct.json(), "took": 0}
        assert "x-desireline-generation" not in through.headers

    def test_an_error_of_the_cluster_passes_with_its_status(self, shop, cluster, sidecar) -> None:
        address = f"/{sidecar.index}/_search"
        body = {"query": {"matsch": {"title": "kettle"}}}
        through, direct = shop.post(address, json=body), cluster.post(address, json=body)
        assert through.status_code == direct.status_code == 400
        assert through.json() == direct.json()

    def test_parameters_reach_the_cluster_and_strange_ones_are_refused(self, shop, sidecar) -> None:
        address = f"/{sidecar.index}/_search"
        assert self.ids(shop.get(address, params={"q": "title:kettle"})) == ["p3"]
        answer = shop.post(address, json=NEURAL, params={"size": 1, "filter_path": "hits.hits._id"})
        assert answer.json() == {"hits": {"hits": [{"_id": "p1"}]}}
        for name in ("source", "scroll", "made_up"):
            refused = shop.post(address, json=NEURAL, params={name: "1m"})
            assert refused.status_code == 400
            assert name in refused.json()["error"]["message"]

    def test_a_compressed_answer_stays_compressed_and_readable(self, shop, sidecar) -> None:
        answer = shop.post(
            f"/{sidecar.index}/_search", json=NEURAL, headers={"Accept-Encoding": "gzip"}
        )
        assert self.ids(answer)[0] == "p1"

    def test_no_other_index_is_reached(self, shop, sidecar) -> None:
        for index in ("_all", "*", f"{sidecar.index},other", f"{sidecar.index}%2F_doc%2Fp1"):
            assert shop.get(f"/{index}/_search").status_code == 404

    def test_after_a_revert_the_next_search_uses_the_other_slot(self, shop, sidecar) -> None:
        sidecar.revert("products")
        answer = shop.post(f"/{sidecar.index}/_search", json=NEURAL)
        assert answer.status_code == 200
        assert answer.headers["x-desireline-generation"] == "6"
        assert answer.headers["x-desireline-field"] == "embedding__a"


def test_a_cluster_that_is_down_is_told_in_one_sentence(proxied) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        answer = proxied(ClusterAddress(url=url)).post("/shop/_search", json=NEURAL)
    assert answer.status_code == 503
    assert "does not answer" in answer.json()["error"]["reason"]


class Cluster(BaseHTTPRequestHandler):
    """A cluster that remembers what it was asked and answers what it is told."""

    asked: list[tuple[str, dict[str, str], bytes]]
    status = 200
    released: threading.Event

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append((self.path, dict(self.headers), body))
        self.released.wait(60)
        answer = b'{"hits": {"hits": []},   "odd spacing": 1.0}'
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Warning", '299 OpenSearch "old"')
        self.send_header("Set-Cookie", "secret=1")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST  # noqa: N815 - http.server names it so

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def recorder() -> Iterator[tuple[type[Cluster], str]]:
    released = threading.Event()
    released.set()
    handler = type("Recorder", (Cluster,), {"asked": [], "released": released})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    released.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_cluster_sees_the_sidecars_credentials_and_never_the_callers(proxied, recorder) -> None:
    handler, url = recorder
    shop = proxied(ClusterAddress(url=url, authorization="Basic c2lkZWNhcg=="))
    shop.post("/shop/_search", json=NEURAL, headers={"Cookie": "a=b", "X-Opaque-Id": "x"})
    ((path, headers, body),) = handler.asked
    assert path.startswith("/shop/_search?_source_excludes=")
    assert headers["Authorization"] == "Basic c2lkZWNhcg=="
    assert not {"x-api-key", "cookie"} & {name.lower() for name in headers}
    ((slot, asked),) = json.loads(body)["query"]["knn"].items()
    assert (slot, asked["filter"]) == (
        "embedding__b",
        {"term": {"embedding__b_stamp.generation": 7}},
    )


def test_an_answer_passes_byte_for_byte_and_its_cookies_do_not(proxied, recorder) -> None:
    _, url = recorder
    answer = proxied(ClusterAddress(url=url)).post("/shop/_search", json=NEURAL)
    assert answer.content == b'{"hits": {"hits": []},   "odd spacing": 1.0}'
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    assert answer.headers["warning"] == '299 OpenSearch "old"'
    assert "set-cookie" not in answer.headers


def test_a_body_without_a_clause_reaches_the_cluster_as_it_was(proxied, recorder) -> None:
    handler, url = recorder
    body = b'{ "query" : {"match_all":{}}, "size": 1.0e0, "min_score": 18446744073709551617 }'
    proxied(ClusterAddress(url=url)).post("/shop/_search", content=body)
    assert handler.asked[0][2] == body


def test_a_password_the_cluster_refuses_is_not_blamed_on_the_caller(proxied, recorder) -> None:
    handler, url = recorder
    handler.status = 401
    answer = proxied(ClusterAddress(url=url)).post("/shop/_search", json=NEURAL)
    assert answer.status_code == 502
    assert "refuses the sidecar" in answer.json()["error"]["reason"]


def test_a_cluster_that_hangs_is_given_up_in_time(proxied, recorder) -> None:
    handler, url = recorder
    handler.released.clear()
    settings = HttpSettings(upstream_timeout_s=0.2)
    answer = proxied(ClusterAddress(url=url), settings).post("/shop/_search", json=NEURAL)
    assert answer.status_code == 504
    assert "within 0.2 s" in answer.json()["error"]["reason"]


@pytest.mark.parametrize("body", [b"[]", b"{", b'"x"', b"[" * 9000])
def test_a_body_that_is_no_search_never_reaches_the_cluster(proxied, recorder, body) -> None:
    handler, url = recorder
    assert proxied(ClusterAddress(url=url)).post("/shop/_search", content=body).status_code == 400
    assert handler.asked == []


def test_credentials_do_not_show_in_the_address() -> None:
    assert "c2VjcmV0" not in repr(ClusterAddress(url="http://a", authorization="Basic c2VjcmV0"))
