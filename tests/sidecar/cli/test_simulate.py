"""`desireline simulate`, without an index and with one of each kind."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from desireline.connectors.documents import Document
from desireline.connectors.engines.lancedb import LanceDbEngine
from desireline.sidecar.cli.exit_codes import ExitCode

TITLES = ("the red shoe", "the garden", "a small house", "the river bank", "a dog", "the sea")
TRUTH = "red shoe\td0\nriver\td3\nsea\td5\nsmall house\td2\n"
QUICK = ("--searches", "200", "--days", "10")


@pytest.fixture
def folder(command_line):
    Path("truth.tsv").write_text(TRUTH)
    return command_line


def test_without_any_index_a_log_and_its_truth_are_written(folder):
    told = folder.json(
        *("simulate", "--truth", "truth.tsv", "--ranked-by", "noisy", "--out", "clicks.parquet"),
        *QUICK,
    )
    assert told["simulated"] is True
    assert told["truth"] == "clicks.truth.json"
    truth = json.loads(Path("clicks.truth.json").read_text())
    assert truth["relevance"] == {
        q: {d: 1.0} for q, d in (x.split("\t") for x in TRUTH.split("\n") if x)
    }
    assert len(truth["bots"]) == 5
    assert truth["examination"]["1"] == 1.0
    assert truth["users"]["searches"] == 200


def test_the_end_says_what_was_written_what_is_planted_and_what_is_next(folder):
    result = folder(
        *("simulate", "shop", "--truth", "truth.tsv", "--ranked-by", "noisy", "--messy"),
        *("--out", "clicks.ndjson", *QUICK),
    )
    assert result.exit_code == ExitCode.DONE, result.stderr
    lines = result.stdout.splitlines()
    assert "simulated clicks of people" in lines[0]
    assert lines[1] == "users     pbm, 20,000 clients, 10 days"
    assert "100 searches with personal data" in result.stdout
    assert "5 bots" in result.stdout
    assert lines[-3].startswith("privacy   ")
    assert lines[-2] == (
        'next      logs = { kind = "files", path = "clicks.ndjson" } under [targets.shop],'
    )
    assert lines[-1] == "          then desireline logs shop"
    written = Path("clicks.ndjson").read_text()
    personal = json.loads(Path("clicks.truth.json").read_text())["personal"]
    assert len(personal) == 100
    assert all(each["value"] in written for each in personal)


def test_a_log_ends_yesterday_unless_its_first_day_is_said(folder):
    command = ("simulate", "--truth", "truth.tsv", "--ranked-by", "noisy", *QUICK)
    folder(*command, "--out", "a.ndjson")
    folder(*command, "--out", "b.ndjson", "--first-day", "2025-03-03")
    first = json.loads(Path("a.truth.json").read_text())["users"]["first_day"]
    assert datetime.now(UTC) - datetime.fromisoformat(first) < timedelta(days=11, minutes=5)
    assert "2025-03-03" in json.loads(Path("b.truth.json").read_text())["users"]["first_day"]


def test_the_same_seed_writes_the_same_log_and_another_one_another(folder):
    logs = {}
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        folder(
            *("simulate", "--truth", "truth.tsv", "--ranked-by", "noisy", "--messy"),
            *("--out", f"{name}.ndjson", "--seed", seed, "--first-day", "2025-03-03", *QUICK),
        )
        logs[name] = Path(f"{name}.ndjson").read_bytes()
    assert logs["a"] == logs["b"] != logs["c"]


def test_a_run_decides_what_pages_show(folder):
    Path("run.tsv").write_text("sea\td1\nsea\td5\nriver\td3\n")
    folder(
        *("simulate", "--truth", "truth.tsv", "--run", "run.tsv", "--out", "clicks.ndjson", *QUICK)
    )
    records = [json.loads(line) for line in Path("clicks.ndjson").read_text().splitlines()]
    pages = {
        r["user_query"]: r["query_response_hit_ids"]
        for r in records
        if "user_query" in r and "query_response_hit_ids" in r
    }
    assert pages == {"sea": ["d1", "d5"], "river": ["d3"], "red shoe": [], "small house": []}


def test_words_of_the_index_can_rank_before_there_is_a_generation(folder):
    folder.write(
        '[cluster]\nengine = "lancedb"\n[targets.things]\nindex = "things"\ntext = ["title"]\n'
    )
    engine = LanceDbEngine(Path("desireline-data/index").absolute())
    engine.create_index("things", ["title"])
    engine.index_documents(
        "things",
        [Document(document_id=f"d{n}", fields={"title": text}) for n, text in enumerate(TITLES)],
    )
    result = folder(
        *("simulate", "things", "--truth", "truth.tsv", "--ranked-by", "bm25"),
        *("--out", "clicks.ndjson", *QUICK),
    )
    assert result.exit_code == ExitCode.DONE, result.stderr
    records = [json.loads(line) for line in Path("clicks.ndjson").read_text().splitlines()]
    pages = {
        r["user_query"]: r["query_response_hit_ids"]
        for r in records
        if "query_response_hit_ids" in r
    }
    assert pages["red shoe"] == ["d0"]


def test_a_settings_file_says_every_number_and_options_win_over_it(folder):
    Path("users.toml").write_text(
        '[users]\nsearches = 300\nclick_model = "dbn"\nbots = 1\n[defects]\nduplicates = 0.5\n'
    )
    command = (
        "simulate",
        "--truth",
        "truth.tsv",
        "--ranked-by",
        "noisy",
        "--settings",
        "users.toml",
    )
    told = folder.json(*command, "--out", "a.ndjson")
    truth = json.loads(Path("a.truth.json").read_text())
    assert truth["users"]["click_model"] == "dbn"
    assert truth["users"]["searches"] == 300
    assert told["planted"]["duplicates"] > 100
    folder.json(*command, "--out", "b.ndjson", "--click-model", "ubm")
    truth = json.loads(Path("b.truth.json").read_text())
    assert (truth["users"]["click_model"], truth["users"]["searches"]) == ("ubm", 300)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[users]\nbotz = 1\n", "did you mean 'bots'"),
        ("[defects]\nlate = 2\n", "defects.late"),
        ("[users\n", "cannot be read"),
    ],
)
def test_a_wrong_settings_file_names_the_place(folder, text, said):
    Path("users.toml").write_text(text)
    result = folder(
        *("simulate", "--truth", "truth.tsv", "--ranked-by", "noisy"),
        *("--settings", "users.toml", "--out", "a.ndjson"),
    )
    assert result.exit_code == ExitCode.USAGE
    assert said in result.stderr
    assert not Path("a.ndjson").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--ranked-by", "noisy"),
        ("--ranked-by", "noisy", "--out", "a.ndjson", "--into", "x-"),
        ("--out", "a.ndjson"),
    ],
)
def test_what_cannot_be_done_is_wrong_usage(folder, arguments):
    result = folder("simulate", "--truth", "truth.tsv", *arguments)
    assert result.exit_code == ExitCode.USAGE
    assert not Path("a.ndjson").exists()


def test_a_truth_that_exists_is_not_overwritten(folder):
    Path("clicks.truth.json").write_text("mine")
    result = folder(
        *("simulate", "--truth", "truth.tsv", "--ranked-by", "noisy", "--out", "clicks.ndjson")
    )
    assert result.exit_code == ExitCode.FAILED
    assert Path("clicks.truth.json").read_text() == "mine"
    assert not Path("clicks.ndjson").exists()


def test_without_a_cluster_there_is_nothing_to_write_into(folder):
    folder.write()
    result = folder("simulate", "--truth", "truth.tsv", "--ranked-by", "noisy", "--into", "sim-")
    assert result.exit_code == ExitCode.FAILED
    assert "write a file with --out" in result.stderr
