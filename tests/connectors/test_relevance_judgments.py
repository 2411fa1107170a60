import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from desireline.connectors.errors import JudgmentFormatError
from desireline.connectors.judgment_files import read_judgment_lists, write_judgment_list
from desireline.connectors.relevance_judgments import (
    JudgmentList,
    QuerySet,
    Rating,
    documents_of,
    judgments_document,
    judgments_request,
    parse_judgments,
    parse_query_set,
    query_set_request,
)

SAMPLE = Path(__file__).parents[1] / "data" / "esci_ubi" / "esci_us_judgments.json.gz"
AT = datetime(2026, 1, 31, 9, tzinfo=UTC)
SHOES = JudgmentList(
    name="shoes",
    ratings={
        "red shoe": (
            Rating(document_id="d1", rating=1.0, confidence=0.8),
            Rating(document_id="d2", rating=0.25, confidence=0.1),
        )
    },
    judgment_id="j1",
    at=AT,
    metadata={"madeBy": "desireline"},
)


def test_the_sample_of_search_relevance_is_read_whole():
    (found,) = read_judgment_lists(SAMPLE)
    assert (found.name, found.type, len(found.ratings)) == (
        "ESCI Judgments",
        "IMPORT_JUDGMENT",
        150,
    )
    assert sum(map(len, found.ratings.values())) == 6_678
    assert found.greatest == 100.0
    assert found.grades()["t towels kitchen"]["B07NCQWCQS"] == 1.0


def test_the_document_is_the_one_that_the_plugin_keeps():
    assert judgments_document(SHOES) == {
        "id": "j1",
        "timestamp": "2026-01-31T09:00:00.000+00:00",
        "name": "shoes",
        "status": "COMPLETED",
        "type": "IMPORT_JUDGMENT",
        "metadata": {"madeBy": "desireline"},
        "judgmentRatings": [
            {
                "query": "red shoe",
                "ratings": [
                    {"docId": "d1", "rating": "1.0", "confidence": 0.8},
                    {"docId": "d2", "rating": "0.25", "confidence": 0.1},
                ],
            }
        ],
    }


def test_the_request_holds_what_the_import_of_the_plugin_takes_and_nothing_else():
    body = judgments_request(SHOES)
    assert body.keys() == {"name", "description", "type", "judgmentRatings"}
    assert body["judgmentRatings"][0]["ratings"] == [
        {"docId": "d1", "rating": "1.0"},
        {"docId": "d2", "rating": "0.25"},
    ]


@pytest.mark.parametrize(
    "ratings",
    [
        [{"query": "q", "ratings": [{"docId": "d1", "rating": "0.500"}]}],
        [{"query": "q", "ratings": [{"docId": "d1", "rating": 0.5}]}],
        [{"query": "q", "ratings": [{"docId": "d1", "score": "0.5"}]}],
        [{"query": "q", "ratings": {"d1": "0.5"}}],
        {"q": [{"docId": "d1", "rating": "0.5"}]},
        {"q": {"d1": 0.5}},
    ],
)
@pytest.mark.parametrize("name", ["judgmentRatings", "judgmentScores"])
def test_every_shape_that_a_release_wrote_means_the_same(name, ratings):
    found = parse_judgments({"name": "x", name: ratings}, "x")
    assert found.ratings == {"q": (Rating(document_id="d1", rating=0.5),)}


def test_objects_lists_and_answers_of_a_search_are_unpacked():
    body = judgments_document(SHOES)
    answer = {"hits": {"hits": [{"_id": "j1", "_source": {**body, "id": "j1"}}]}}
    for given in (body, [body], answer, [answer]):
        assert [parse_judgments(each, "x") for each in documents_of(given)] == [SHOES]
    assert list(documents_of(None)) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "x"}, "holds no judgmentRatings"),
        ({"judgmentRatings": []}, "holds no judgmentRatings"),
        ({"judgmentRatings": [{"ratings": []}]}, "names no query"),
        ({"judgmentRatings": [{"query": "q", "ratings": 3}]}, "'q' has no list"),
        ({"judgmentRatings": {"q": [{"docId": "", "rating": 1}]}}, "'q' is not a docId"),
        ({"judgmentRatings": {"q": [{"docId": "d", "rating": "good"}]}}, "'q' is not a docId"),
        ({"judgmentRatings": {"q": [{"docId": "d", "rating": "NaN"}]}}, "'q' is not a docId"),
        ({"judgmentRatings": {"q": [{"docId": "d", "rating": True}]}}, "'q' is not a docId"),
        ({"judgmentRatings": {"q": ["d"]}}, "'q' is not a docId"),
    ],
)
def test_the_first_wrong_entry_is_named_with_its_place(body, said):
    with pytest.raises(JudgmentFormatError, match="the file") as caught:
        parse_judgments(body, "the file")
    assert said in str(caught.value)
    assert "nothing was imported" in str(caught.value)


@pytest.mark.parametrize(
    "queries",
    [
        [{"queryText": "tv"}, {"queryText": "led tv", "referenceAnswer": "x"}],
        ["tv", "led tv", "tv"],
        {"tv": 3, "led tv": 1},
    ],
)
def test_query_sets_are_read_in_every_shape(queries):
    found = parse_query_set({"id": "s", "name": "TVs", "querySetQueries": queries}, "x")
    assert found == QuerySet(name="TVs", queries=("tv", "led tv"), query_set_id="s")
    assert query_set_request(found)["querySetQueries"] == [
        {"queryText": "tv"},
        {"queryText": "led tv"},
    ]


@pytest.mark.parametrize("body", [{}, {"querySetQueries": []}, {"querySetQueries": [{"x": 1}]}])
def test_a_query_set_without_queries_is_none(body):
    with pytest.raises(JudgmentFormatError, match="holds no querySetQueries"):
        parse_query_set(body, "x")


@pytest.mark.parametrize("name", ["judgments.json", "judgments.json.gz"])
def test_a_list_is_written_and_read_and_never_overwritten(tmp_path, name):
    write_judgment_list(SHOES, tmp_path / name)
    assert read_judgment_lists(tmp_path / name) == [SHOES]
    with pytest.raises(JudgmentFormatError, match="nothing was exported"):
        write_judgment_list(SHOES, tmp_path / name)


@pytest.mark.parametrize("held", [b"{", b"\x1f\x8b", gzip.compress(json.dumps({}).encode())[:9]])
def test_a_broken_file_is_named(tmp_path, held):
    path = tmp_path / "judgments.json.gz"
    path.write_bytes(held)
    with pytest.raises(JudgmentFormatError, match=r"judgments\.json\.gz cannot be read"):
        read_judgment_lists(path)
