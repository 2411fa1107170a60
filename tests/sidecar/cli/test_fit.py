"""`desireline fit`: files in, a table and a folder out, in a child process."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from desireline.sidecar.cli.exit_codes import ExitCode
from desireline.sidecar.cli.fit import next_moment

pytest.importorskip("torch", reason="needs desireline[trainer]")

WORDS = ["red", "blue", "shoe", "running", "garden", "nurse", "software", "engineer"]
KNOWN = [(word, f"the {word} of 42") for word in WORDS]
PAIRS = [("cm", "the garden of 42"), ("in", "the nurse of 42"), ("for", "the shoe of 42")]


def write(name: str, rows) -> str:
    Path(name).write_text("".join(f"{','.join(row)}\n" for row in rows))
    return name


def test_it_prints_the_measures_before_and_after(command_line, tiny_static) -> None:
    result = command_line(
        *("fit", "--json", "--model", str(tiny_static)),
        *("--train", write("pairs.csv", [("query", "document"), *KNOWN, *PAIRS])),
        *("--eval", write("test.csv", PAIRS), "--out", "tuned", "--learning-rate", "0.05"),
        *("--epochs", "12", "--batch-size", "8", "--threads", "1", "--done-by", "05:00"),
        *("--loss", "TripletMarginLoss", "--miner", "TripletMarginMiner"),
        *("--miner-options", '{"margin": 0.3, "type_of_triplets": "hard"}'),
    )
    assert result.exit_code == ExitCode.DONE, result.output
    told = [json.loads(line) for line in result.stderr.splitlines()]
    assert "pairs.csv" in told[0]["sentence"]
    assert "test.csv" in told[0]["sentence"]
    body = json.loads(result.stdout)
    assert body["after"]["mrr@20"] > body["before"]["mrr@20"]
    assert Path("tuned/modules.json").is_file()
    assert Path(body["folder"]) == Path("tuned").absolute()


def test_bad_rows_are_named_and_nothing_is_left(command_line, tiny_static) -> None:
    result = command_line(
        *("fit", "--json", "--model", str(tiny_static), "--out", "tuned"),
        *("--train", write("pairs.csv", [("query", "document"), ("q", ""), ("r", "d")])),
    )
    assert result.exit_code == ExitCode.FAILED
    assert "line 2: '', expected text in document" in json.loads(result.stdout)["error"]
    assert [path.name for path in Path().iterdir() if path.name != "cache"] == ["pairs.csv"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("--loss-options", "{margin}"), ("--miner-options", "[1]"), ("--budget", "soon")],
)
def test_an_option_that_cannot_be_read_starts_nothing(command_line, option, value) -> None:
    result = command_line("fit", "--train", "pairs.csv", "--out", "tuned", option, value)
    assert result.exit_code == ExitCode.USAGE
    assert not Path("tuned").exists()


@pytest.fixture
def berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("2026-07-01T20:00", "2026-07-02T05:00+02:00"),
        ("2026-07-02T04:59", "2026-07-02T05:00+02:00"),
        ("2026-07-02T05:00", "2026-07-03T05:00+02:00"),
        ("2026-10-24T20:00", "2026-10-25T05:00+01:00"),  # the night in which summer time ends
    ],
)
def test_a_time_of_day_is_the_next_one_that_the_clock_here_shows(berlin, now, then) -> None:
    found = next_moment(datetime(1900, 1, 1, 5, 0, tzinfo=UTC), datetime.fromisoformat(now))
    assert found == datetime.fromisoformat(then)
