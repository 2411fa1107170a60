"""`desireline judgments`: weak labels out, judgments of people in."""

import json
from pathlib import Path

import pytest

from desireline.connectors.documents import Document
from desireline.connectors.engines.lancedb import LanceDbEngine
from desireline.connectors.judgment_files import read_judgment_lists
from desireline.sidecar.cli.exit_codes import ExitCode
from desireline.trainer.simulation.known_answers import read_known_answers

SAMPLE = Path(__file__).parents[2] / "data" / "esci_ubi" / "esci_us_judgments.json.gz"
QUERIES = [f"query {number}" for number in range(12)]
TARGET = """
[targets.shop]
index = "shop"
text = ["title"]
logs = { kind = "files", path = "clicks.ndjson" }

[targets.shop.tune]
click_model = "pbm"

[targets.shop.privacy]
mode = "local"
"""


@pytest.fixture
def shop(command_line):
    """A target with a simulated log and no generation yet."""
    command_line.write(f'[cluster]\nengine = "lancedb"\n{TARGET}')
    Path("truth.tsv").write_text("".join(f"{q}\td{n % 5}\n" for n, q in enumerate(QUERIES)))
    command_line(
        *("simulate", "--truth", "truth.tsv", "--ranked-by", "noisy"),
        *("--searches", "3000", "--out", "clicks.ndjson"),
    )
    return command_line


def test_the_labels_of_a_log_are_written_and_say_what_is_right(shop):
    told = shop.json("judgments", "export", "shop", "--out", "judgments.json")
    assert told["queries"] == len(QUERIES)
    body = json.loads(Path("judgments.json").read_text())
    assert body["type"] == "IMPORT_JUDGMENT"
    truth = read_known_answers(Path("truth.tsv"))
    for entry in body["judgmentRatings"]:
        best = entry["ratings"][0]
        assert truth[entry["query"]] == {best["docId"]: 1.0}
        assert 0 <= float(best["rating"]) <= 1
        assert 0 < best["confidence"] < 1


def test_erasing_a_query_names_the_file_that_was_exported_and_holds_it(shop):
    shop("judgments", "export", "shop", "--out", "judgments.json")
    said = shop("erase", "shop", "--query", QUERIES[3]).stdout
    assert f"{Path('judgments.json').absolute()}, exported on " in said
    assert "holds the query: delete it" in said
    shop("judgments", "export", "shop", "--out", "again.json")
    (still,) = shop.json("erase", "shop", "--query", QUERIES[3])["erased"][0]["exports"]
    assert "again.json" not in still


def test_what_was_exported_is_a_truth_to_simulate_with(shop):
    shop("judgments", "export", "shop", "--out", "judgments.json")
    told = shop.json(
        *("simulate", "--truth", "judgments.json", "--ranked-by", "noisy"),
        *("--searches", "100", "--out", "again.ndjson"),
    )
    assert told["searches"] == 100


def test_a_query_set_chooses_the_queries_and_their_spelling(shop):
    wanted = [{"queryText": "QUERY  3"}, {"queryText": "query 5"}, {"queryText": "never typed"}]
    Path("set.json").write_text(json.dumps({"name": "top", "querySetQueries": wanted}))
    told = shop("judgments", "export", "shop", "--out", "a.json", "--query-set", "set.json")
    assert "of 2 queries (of 3 asked for)" in told.stdout
    (found,) = read_judgment_lists(Path("a.json"))
    assert list(found.ratings) == ["QUERY  3", "query 5"]
    assert found.ratings["QUERY  3"][0].document_id == "d3"


def test_only_labels_that_are_trusted_enough_go_out(shop):
    every = shop.json("judgments", "export", "shop", "--out", "a.json")["ratings"]
    some = shop.json(
        "judgments", "export", "shop", "--out", "b.json", "--least-confidence", "0.98"
    )["ratings"]
    assert 0 < some < every
    result = shop("judgments", "export", "shop", "--out", "c.json", "--least-confidence", "1")
    assert result.exit_code == ExitCode.FAILED
    assert "with a confidence of 1" in result.stderr
    assert not Path("c.json").exists()


def test_a_file_that_exists_is_not_overwritten(shop):
    Path("judgments.json").write_text("mine")
    result = shop("judgments", "export", "shop", "--out", "judgments.json")
    assert result.exit_code == ExitCode.FAILED
    assert Path("judgments.json").read_text() == "mine"


@pytest.mark.parametrize("arguments", [(), ("--out", "a.json", "--to-cluster")])
def test_an_export_goes_to_one_place(shop, arguments):
    assert shop("judgments", "export", "shop", *arguments).exit_code == ExitCode.USAGE


def test_without_a_cluster_there_is_nobody_to_hand_them_to(shop):
    result = shop("judgments", "export", "shop", "--to-cluster")
    assert result.exit_code == ExitCode.FAILED
    assert "names no cluster" in result.stderr


def test_the_sample_of_search_relevance_is_checked_and_pins_golden_queries(command_line):
    told = command_line.json("judgments", "import", str(SAMPLE), "--golden", "golden.tsv")
    assert (told["queries"], told["ratings"]) == (150, 6_678)
    pins = [line.split("\t") for line in Path("golden.tsv").read_text().splitlines()]
    assert told["golden"] == len(pins) > 0
    answers = read_known_answers(SAMPLE)
    by_query = {" ".join(query.lower().split()): grades for query, grades in answers.items()}
    for query, document_id in pins:
        best = [key for key, grade in by_query[query].items() if grade == 1]
        assert best == [document_id]


def test_golden_queries_that_exist_are_left_as_they_are(command_line):
    Path("golden.tsv").write_text("mine")
    result = command_line("judgments", "import", str(SAMPLE), "--golden", "golden.tsv")
    assert result.exit_code == ExitCode.FAILED
    assert Path("golden.tsv").read_text() == "mine"


def test_a_file_that_is_not_there_is_said(command_line):
    result = command_line("judgments", "import", "ratings.json")
    assert result.exit_code == ExitCode.FAILED
    assert "there is no file ratings.json" in result.stderr


@pytest.mark.opensearch
def test_labels_go_to_a_cluster_and_come_back_by_name(shop, opensearch_url, index_prefix):
    state = index_prefix.strip("-")
    shop.write(f'[cluster]\nurl = "{opensearch_url}"\nstate = "{state}"\n{TARGET}')
    told = shop.json(
        *("judgments", "export", "shop", "--to-cluster", "--prefix", index_prefix),
        *("--name", "ours", "--queries", "5"),
    )
    assert told["judgment_id"]
    assert told["query_set_id"]
    back = shop.json("judgments", "import", "ours", "--out", "ours.json", "--prefix", index_prefix)
    assert back["ratings"] == told["ratings"]
    chosen = shop.json(
        *("judgments", "export", "shop", "--out", "five.json", "--prefix", index_prefix),
        *("--query-set", told["query_set_id"]),
    )
    assert chosen["queries"] == 5
    result = shop("judgments", "import", "theirs", "--out", "x.json", "--prefix", index_prefix)
    assert result.exit_code == ExitCode.FAILED
    assert "has no list of judgments 'theirs'" in result.stderr


@pytest.fixture
def served(command_line, tiny_static: Path):
    """A target with a live generation and a log, that learns from clicks and from ratings."""
    command_line.write(
        f"""
        [cluster]
        engine = "lancedb"
        [targets.things]
        index = "things"
        text = ["title"]
        model = "{tiny_static}"
        logs = {{ kind = "files", path = "clicks.ndjson" }}
        privacy = {{ mode = "local" }}
        [targets.things.tune]
        miners = ["clicked", "rated"]
        judgments = "ratings.json"
        """
    )
    titles = ("the red shoe", "the garden", "a small house", "the river bank", "a dog", "the sea")
    engine = LanceDbEngine(Path("desireline-data/index").absolute())
    engine.create_index("things", ["title"])
    engine.index_documents(
        "things",
        [Document(document_id=f"d{n}", fields={"title": text}) for n, text in enumerate(titles)],
    )
    Path("truth.tsv").write_text("red shoe\td0\nriver\td3\nsea\td5\n")
    ratings = [
        {"query": "Red Shoe", "ratings": [{"docId": "d0", "rating": "3"}]},
        {
            "query": "pets",
            "ratings": [{"docId": "d4", "rating": "3"}, {"docId": "d1", "rating": 0}],
        },
    ]
    Path("ratings.json").write_text(json.dumps({"name": "people", "judgmentRatings": ratings}))
    assert command_line.json("reindex", "things", "--yes")["outcome"] == "went live"
    command_line(
        *("simulate", "things", "--truth", "truth.tsv", "--searches", "300"),
        *("--out", "clicks.ndjson"),
    )
    return command_line


def test_ratings_of_people_are_a_source_of_pairs_beside_clicks(served):
    told = served.json("mine", "things", "--explain", "pets")
    found = {each["miner"]: each for each in told["miners"]}
    assert found["rated"]["found"] == 2
    assert found["clicked"]["found"] > 0
    (pair,) = told["explanation"]["pairs"]
    assert pair["document_id"] == "d4"
    assert pair["found_by"][0]["why"] == "rated 1.00 of the best by people"
