"""`desireline logs` as a person and as a program meets it."""

import json
from pathlib import Path

import pytest

from desireline.sidecar.cli.exit_codes import ExitCode
from desireline.sidecar.cli.log_health import printable

SAMPLE = Path(__file__).parents[2] / "data" / "esci_ubi" / "ubi_queries_events.ndjson.gz"


@pytest.fixture
def with_logs(command_line):
    """Return a command line whose target reads this log."""

    def write(path: object, settings: str = 'privacy = { mode = "local" }'):
        command_line.write(
            f"""
            [cluster]
            engine = "lancedb"

            [targets.jobs]
            index = "occupations"
            text = ["title"]
            logs = {{ kind = "files", path = "{path}" }}
            {settings}
            """
        )
        return command_line

    return write


def events(*records: dict) -> None:
    lines = (json.dumps(record, ensure_ascii=False) for record in records)
    Path("clicks.ndjson").write_text("\n".join([*lines, ""]))


def searched(number: int, text: str, client: str = "") -> dict:
    return {
        "type": "query",
        "query_id": f"q{number}",
        "text": text,
        "at": f"2026-01-{number % 28 + 1:02}T09:00:00Z",
        "client": client,
        "shown": ["a", "b"],
    }


def clicked(number: int, document_id: str, client: str = "") -> dict:
    return {
        "type": "click",
        "query_id": f"q{number}",
        "document_id": document_id,
        "at": f"2026-01-{number % 28 + 1:02}T09:00:09Z",
        "client": client,
    }


def test_the_report_fits_eighty_columns_and_tells_all_its_parts(with_logs, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = with_logs(SAMPLE)("logs", "jobs")
    assert result.exit_code == ExitCode.DONE, result.stderr
    lines = result.stdout.splitlines()
    assert [line for line in lines if len(line) > 80] == []
    titles = [line for line in lines if line and not line.startswith(" ")]
    assert titles[: titles.index("Defects") + 1] == [
        "jobs: Tier 4 of 4: nothing is missing.",
        "Readiness",
        "Events",
        "To learn from",
        "Queries",
        "Documents",
        "Click-through by position",
        "Most frequent queries",
        "Not shown",
        "Most often shown, never clicked",
        "Defects",
    ]
    assert "89.9% of the actions that count find their search" in result.stdout
    assert "Mend: log every search" in result.stdout


def test_the_bars_are_as_long_as_the_click_through(with_logs) -> None:
    lines = with_logs(SAMPLE)("logs", "jobs").stdout.splitlines()
    bars = {int(line.split()[0]): line for line in lines if line[:9].strip().isdigit()}
    assert list(bars) == list(range(1, 21))
    cells = {at: line.count("█") for at, line in bars.items()}
    assert (cells[1], cells[2], cells[3]) == (32, 18, 23)
    assert bars[1].split()[2:] == ["12.4%", "30", "of", "242"]
    assert "▒" in bars[19]
    assert "█" not in bars[19]


def test_programs_get_one_object_with_every_number(with_logs) -> None:
    body = with_logs(SAMPLE).json("logs", "jobs")
    assert (body["target"], body["tier"], body["searches"]) == ("jobs", 4, 247)
    assert body["figures"]["places"][0] == {
        "position": 1,
        "impressions": 242,
        "clicks": 30,
        "click_through": pytest.approx(30 / 242),
    }
    assert body["defects"]["events of unknown queries"] == 120
    assert {each["name"] for each in body["explained"]} >= {"events of unknown queries"}
    assert body["readiness"]["tiers"][4]["reached"] is True


@pytest.mark.parametrize(
    ("records", "tier"),
    [
        ([], 0),
        ([clicked(1, "a")], 0),
        ([searched(1, "tea"), clicked(1, "a")], 2),
        ([searched(1, "茶の杯"), clicked(1, "ü\u202e")], 1),
        ([searched(n, "tea", client=f"c{n}") for n in range(9)], 0),
        ([{"type": "click", "text": "tea", "document_id": "a", "at": "2026-01-01T00:00:00Z"}], 1),
    ],
    ids=["empty", "one lost click", "one click", "unicode", "no click", "no positions"],
)
def test_a_log_with_hardly_anything_is_told_without_a_failure(with_logs, records, tier) -> None:
    events(*records)
    command_line = with_logs("clicks.ndjson")
    result = command_line("logs", "jobs")
    assert result.exit_code == ExitCode.DONE, result.stderr
    assert f"Tier {tier} of 4" in result.stdout
    assert "(self-supervised;" in " ".join(result.stdout.split())
    assert command_line.json("logs", "jobs")["tier"] == tier


def test_a_query_that_too_few_clients_typed_is_not_printed(with_logs) -> None:
    rare = [searched(n, "canary", client=f"c{n % 4}") for n in range(20)]
    common = [searched(28 * (n + 1), "tea pot", client=f"c{n}") for n in range(5)]
    events(*rare, *common)
    command_line = with_logs("clicks.ndjson")
    for arguments in (("logs", "jobs"), ("logs", "jobs", "--json")):
        said = command_line(*arguments).stdout
        assert "tea pot" in said
        assert "canary" not in said


def test_what_strangers_wrote_cannot_steer_the_terminal(with_logs) -> None:
    events(*(searched(28 * n, "tea \x1b[2Jpot\x07 \u202e", client=f"c{n}") for n in range(6)))
    said = with_logs("clicks.ndjson")("logs", "jobs").stdout
    assert "tea" in said
    assert not {"\x1b", "\x07", "\u202e"} & set(said)


def test_a_long_query_is_cut() -> None:
    assert printable("x" * 44) == "x" * 44
    assert printable("x" * 45) == "x" * 43 + "…"


def test_strict_privacy_says_what_it_holds_back(with_logs) -> None:
    result = with_logs(SAMPLE, 'privacy = { keep = "3650d" }')("logs", "jobs")
    assert "more clicks are not learned from: fewer than 5 clients" in " ".join(
        result.stdout.split()
    )
