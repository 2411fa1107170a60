"""The loop held against the truth: simulate, pull, judge; the labels order documents as it does."""

import json
import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from desireline.connectors import plugins
from desireline.connectors.logs.files import FileLogs, FileLogsConfig
from desireline.sidecar.cli.app import app
from desireline.trainer.judgments import judge
from desireline.trainer.query_text import normalise
from desireline.trainer.sessions import to_sessions
from desireline.trainer.simulation.known_answers import read_known_answers

SAMPLE = Path(__file__).parents[1] / "data" / "esci_ubi" / "esci_us_judgments.json.gz"
SETTINGS = """
[users]
searches = 8000
shown = 12
zipf = 0.4
clients = 6000
bots = 3
examination_power = 1.0
attraction_relevant = 0.6
"""
MESS = """
[defects]
late = 0.05
duplicates = 0.02
missing_shown = 0.05
missing_positions = 0.1
missing_query_ids = 0.02
clock_skew = 0.05
personal = 200
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Pages in an order that knows nothing of the truth, for whoever searches."""
    monkeypatch.chdir(tmp_path)
    shuffled = random.Random(4)
    lines = []
    for query, grades in read_known_answers(SAMPLE).items():
        page = sorted(grades)
        shuffled.shuffle(page)
        lines += [f"{query}\t{document_id}\n" for document_id in page]
    Path("run.tsv").write_text("".join(lines))
    return tmp_path


def sessions_of(click_model, settings):
    Path("users.toml").write_text(settings)
    done = CliRunner().invoke(
        app,
        [
            *("simulate", "--truth", str(SAMPLE), "--run", "run.tsv", "--settings", "users.toml"),
            *("--click-model", click_model, "--out", "clicks.ndjson.gz"),
        ],
    )
    assert done.exit_code == 0, done.stderr
    return to_sessions(FileLogs(FileLogsConfig(path="clicks.ndjson.gz")).pull())


def agreement(frame, column, truth):
    """Mean rank correlation with the truth, over the queries where both tell documents apart."""
    found = []
    for (query,), rows in frame.group_by("query"):
        grades = [truth[query].get(key, 0.0) for key in rows.get_column("document_id")]
        both = pl.DataFrame({"truth": grades, "label": rows.get_column(column)})
        if both.get_column("truth").n_unique() > 1 and both.get_column("label").n_unique() > 1:
            found.append(both.select(pl.corr("truth", "label", method="spearman")).item())
    assert len(found) > 80
    return float(np.mean(found))


CLEAN = [(click_model, "") for click_model in ("pbm", "cascade", "dcm", "sdbn", "dbn", "ubm")]


@pytest.mark.parametrize(("click_model", "mess"), [*CLEAN, ("pbm", MESS), ("dbn", MESS)])
def test_labels_of_the_model_that_users_follow_are_nearer_the_truth_than_click_through(
    folder, click_model, mess
):
    sessions = sessions_of(click_model, SETTINGS + mess)
    judgments = judge(sessions, plugins.load("clickmodels", click_model)())
    with_rate = judgments.frame.filter(pl.col("impressions") > 0).with_columns(
        rate=pl.col("clicks") / pl.col("impressions")
    )
    written = json.loads(Path("clicks.truth.json").read_text())
    truth = {normalise(query): grades for query, grades in written["relevance"].items()}
    truth |= {
        normalise(f"{query} {each['value']}"): {}
        for each in written["personal"]
        for query in written["relevance"]
    }
    ours, raw = agreement(with_rate, "grade", truth), agreement(with_rate, "rate", truth)
    assert ours > raw + 0.01
