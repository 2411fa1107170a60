"""Judgments and query sets in a cluster: its own indexes without the plugin, its API with it.

No cluster here has the plugin. `plugin` answers as its source (main branch, 2026) says it does.
"""

import json
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from desireline.connectors.errors import JudgmentFormatError, PermissionDeniedError
from desireline.connectors.judgment_files import read_judgment_lists
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.relevance_judgments import JudgmentList, QuerySet, Rating
from desireline.connectors.search_relevance import (
    JUDGMENTS_INDEX,
    QUERY_SETS_INDEX,
    SearchRelevance,
    taken_by_plugin,
)
from desireline.trainer.judging.judgment_exchange import to_query_set

SAMPLE = Path(__file__).parents[1] / "data" / "esci_ubi" / "esci_us_judgments.json.gz"
SHOES = JudgmentList(
    name="shoes",
    ratings={
        "red shoe": (
            Rating(document_id="d1", rating=1.0, confidence=0.5),
            Rating(document_id="d2", rating=0.25, confidence=0.25),
        )
    },
    at=datetime(2026, 1, 31, 9, tzinfo=UTC),
    metadata={"madeBy": "desireline"},
)
QUERIES = QuerySet(name="TVs", queries=("tv", "led tv"), at=datetime(2026, 1, 31, tzinfo=UTC))
API = "/_plugins/_search_relevance/"


class Plugin(BaseHTTPRequestHandler):
    """Keeps what is put, lists it, gives one by id; ratings lose all but docId and rating."""

    enabled = True
    kept: dict

    def do_GET(self):
        path, _, parameters = self.path.partition("?")
        if path == "/_cat/plugins":
            self.answer([{"name": "n", "component": "opensearch-search-relevance"}])
            return
        if not self.enabled:
            self.answer("Search Relevance Workbench is disabled", 403)
            return
        assert not parameters, "contains unrecognized parameter"
        length = int(self.headers["content-length"] or 0)
        assert not length or json.loads(self.rfile.read(length)) == {"size": 1000}
        kind, _, wanted = path.removeprefix(API).partition("/")
        found = [d for k, d in self.kept.items() if k[0] == kind and (not wanted or k[1] == wanted)]
        self.answer({"hits": {"hits": [{"_id": d["id"], "_source": d} for d in found]}})

    def do_PUT(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        kind = self.path.removeprefix(API)
        assert len(body["name"]) <= 50
        if kind == "judgments":
            assert body["type"] == "IMPORT_JUDGMENT"
            for entry in body["judgmentRatings"]:
                entry["ratings"] = [
                    {"docId": r["docId"], "rating": str(float(r["rating"]))}
                    for r in entry["ratings"]
                ]
        document = {
            **body,
            "id": f"{kind}-{len(self.kept)}",
            "timestamp": "2026-01-31T09:00:00.000Z",
        }
        self.kept[kind, document["id"]] = document
        self.answer({"judgment_id" if kind == "judgments" else "query_set_id": document["id"]})

    def do_DELETE(self):
        kind, _, wanted = self.path.removeprefix(API).partition("/")
        found = self.kept.pop((kind, wanted), None)
        self.answer({"result": "deleted" if found else "not_found"}, 200 if found else 404)

    def answer(self, body, status=200):
        text = body if isinstance(body, str) else json.dumps(body)
        self.send_response(status)
        self.send_header("content-type", "application/json" if body != text else "text/plain")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def plugin():
    """The settings to reach it with, and the handler."""
    handler = type("Handler", (Plugin,), {"kept": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield OpenSearchSettings(url=f"http://127.0.0.1:{server.server_port}"), handler
    server.shutdown()
    server.server_close()


def test_the_plugin_is_asked_where_it_is_installed(plugin):
    settings, handler = plugin
    with closing(SearchRelevance(settings)) as cluster:
        assert cluster.by_plugin
        key = cluster.add_judgments(SHOES)
        bare = {"red shoe": tuple(replace(r, confidence=None) for r in SHOES.ratings["red shoe"])}
        assert cluster.judgments(key).ratings == bare
        assert cluster.judgments("shoes").ratings == bare
        assert cluster.query_set(cluster.add_query_set(QUERIES)).queries == QUERIES.queries
        assert cluster.query_set("TVs").queries == QUERIES.queries
    assert {kind for kind, _ in handler.kept} == {"judgments", "query_sets"}


SEVERAL = replace(SHOES, ratings={**SHOES.ratings, "boots": SHOES.ratings["red shoe"]})


def test_the_plugin_writes_a_list_without_some_queries_anew_and_deletes_the_old_one(plugin):
    settings, handler = plugin
    with closing(SearchRelevance(settings)) as cluster:
        old, old_set = cluster.add_judgments(SEVERAL), cluster.add_query_set(QUERIES)
        assert cluster.queries_of("judgments", old) == ("red shoe", "boots")
        new = cluster.copy_without("judgments", old, {"boots"})
        new_set = cluster.copy_without("query_sets", old_set, {"led tv"})
        for kind, each in (("judgments", old), ("query_sets", old_set), ("judgments", old)):
            cluster.remove(kind, each)
        assert cluster.queries_of("judgments", old) == ()
        assert cluster.queries_of("judgments", new) == ("red shoe",)
        assert cluster.queries_of("query_sets", new_set) == ("tv",)
    assert set(handler.kept) == {("judgments", new), ("query_sets", new_set)}


@pytest.mark.parametrize("name", ["", "x" * 51, 'my "best" list'])
def test_a_name_that_the_plugin_refuses_is_refused_before(plugin, name):
    settings, handler = plugin
    with closing(SearchRelevance(settings)) as cluster:
        with pytest.raises(JudgmentFormatError, match="does not take the name"):
            cluster.add_judgments(replace(SHOES, name=name))
        with pytest.raises(JudgmentFormatError, match="does not take the name"):
            cluster.add_query_set(replace(QUERIES, name=name))
    assert handler.kept == {}


@pytest.mark.parametrize("query", ['13" laptop', "a\nb", "c# book", "x" * 2001])
def test_a_query_that_the_plugin_refuses_is_left_out_or_refused_before(plugin, query):
    settings, handler = plugin
    assert not taken_by_plugin(query)
    with closing(SearchRelevance(settings)) as cluster, pytest.raises(JudgmentFormatError):
        cluster.add_query_set(replace(QUERIES, queries=("tv", query)))
    judged = replace(SHOES, ratings={**SHOES.ratings, query: ()})
    chosen = to_query_set(judged, name="x", most=5, taken=taken_by_plugin)
    assert chosen.queries == ("red shoe",)
    assert handler.kept == {}


def test_a_workbench_that_is_switched_off_says_which_setting_opens_it(plugin):
    settings, handler = plugin
    handler.enabled = False
    with (
        closing(SearchRelevance(settings)) as cluster,
        pytest.raises(PermissionDeniedError) as said,
    ):
        cluster.judgments("shoes")
    assert "workbench_enabled" in said.value.next_step


@pytest.fixture
def without(opensearch_url, index_prefix):
    settings = OpenSearchSettings(url=opensearch_url)
    with closing(SearchRelevance(settings, prefix=index_prefix)) as cluster:
        yield cluster


@pytest.mark.opensearch
def test_without_the_plugin_the_same_documents_are_kept_in_indexes_like_its_own(
    without, opensearch_url, index_prefix
):
    assert not without.by_plugin
    key = without.add_judgments(SHOES)
    assert without.judgments(key) == replace(SHOES, judgment_id=key)
    assert without.judgments("shoes") == replace(SHOES, judgment_id=key)
    queries = without.add_query_set(QUERIES)
    assert without.query_set("TVs") == replace(QUERIES, query_set_id=queries)
    client = OpenSearch(opensearch_url)
    for name, field in (
        (JUDGMENTS_INDEX, "judgmentRatings"),
        (QUERY_SETS_INDEX, "querySetQueries"),
    ):
        mapping = client.indices.get_mapping(index=f"{index_prefix}{name}")
        ((_, held),) = mapping.items()
        assert held["mappings"]["properties"][field]["type"] == "nested"
    client.close()


@pytest.mark.opensearch
def test_the_same_list_twice_is_kept_once(without):
    assert without.add_judgments(SHOES) == without.add_judgments(SHOES)
    assert without.judgments("shoes").ratings == SHOES.ratings


@pytest.mark.opensearch
def test_in_an_index_a_list_without_some_queries_takes_the_old_ones_place(without):
    key, of_set = without.add_judgments(SEVERAL), without.add_query_set(QUERIES)
    assert without.copy_without("judgments", key, {"boots"}) == key
    assert without.judgments(key) == replace(SHOES, judgment_id=key)
    assert without.copy_without("query_sets", of_set, {"tv"}) == of_set
    assert without.queries_of("query_sets", of_set) == ("led tv",)
    assert without.copy_without("query_sets", of_set, {"led tv"}) == ""
    for _ in range(2):
        without.remove("query_sets", of_set)
        assert without.queries_of("query_sets", of_set) == ()


@pytest.mark.opensearch
def test_a_name_that_several_lists_have_is_not_guessed(without):
    first = without.add_judgments(SHOES)
    without.add_judgments(replace(SHOES, description="another", metadata={"try": 2}))
    with pytest.raises(JudgmentFormatError, match="has 2 lists of judgments 'shoes'"):
        without.judgments("shoes")
    assert without.judgments(first).judgment_id == first
    with pytest.raises(JudgmentFormatError, match="has no list of judgments 'boots'"):
        without.judgments("boots")


@pytest.mark.opensearch
def test_a_list_that_was_never_made_is_not_found_either(without):
    with pytest.raises(JudgmentFormatError, match="has no"):
        without.judgments("shoes")


@pytest.mark.opensearch
def test_the_whole_sample_goes_through_an_index(without):
    (sample,) = read_judgment_lists(SAMPLE)
    assert without.judgments(without.add_judgments(sample)).ratings == sample.ratings
