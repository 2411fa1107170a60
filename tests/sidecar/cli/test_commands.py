"""Commands where nothing is wrong: what they print, and what programs get."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from desireline.connectors.documents import Document
from desireline.connectors.engines.lancedb import LanceDbEngine
from desireline.sidecar.cli.app import COMMANDS
from desireline.sidecar.cli.exit_codes import ExitCode
from desireline.sidecar.cli.progress import LineReporter, RichReporter
from desireline.sidecar.config import load_config
from desireline.sidecar.configuration.text_fields import propose_text_fields
from desireline.sidecar.reports.reporting import JsonReporter

NAMES = [command.__name__.replace("_", "-") for command in COMMANDS] + ["keys"]


@pytest.fixture
def index(command_line) -> LanceDbEngine:
    """An index of three occupations in the configured folder."""
    command_line.write()
    engine = LanceDbEngine(Path("desireline-data/index").absolute())
    engine.create_index("occupations", ["title", "description"])
    engine.index_documents(
        "occupations",
        [
            Document(document_id=title, fields={"title": title, "description": f"is a {title}"})
            for title in ("pilot", "baker", "nurse")
        ],
    )
    return engine


@pytest.mark.parametrize("name", NAMES)
def test_every_command_teaches(command_line, name: str) -> None:
    result = command_line(name, "--help")
    assert result.exit_code == ExitCode.DONE
    assert "Example: " in result.stdout
    assert name == "keys" or "Next: " in result.stdout
    assert "--config" in result.stdout


def test_no_command_shows_them_all(command_line) -> None:
    shown = command_line("--help").stdout
    assert [name for name in NAMES if f"│ {name} " not in shown] == []


def test_global_options_stand_before_or_after_the_command(command_line) -> None:
    command_line.write()
    Path("desireline.toml").rename("other.toml")
    for arguments in (
        ("--config", "other.toml", "--json", "status"),
        ("status", "--json", "--config", "other.toml"),
        ("status", "--config=other.toml", "--json"),
    ):
        result = command_line(*arguments)
        assert json.loads(result.stdout)["targets"]["jobs"]["index"] == "occupations"


def test_what_stands_behind_two_dashes_is_no_option(command_line) -> None:
    command_line.write()
    result = command_line("search", "jobs", "--", "--json")
    assert result.exit_code == ExitCode.FAILED
    assert result.stdout == ""


def test_init_writes_a_file_that_loads(command_line) -> None:
    arguments = ("--url", "https://search.example.org:9200", "--user", "me", "--text", "title")
    result = command_line("init", "--index", "Products".lower(), *arguments)
    assert result.exit_code == ExitCode.DONE
    config = load_config()
    assert config.cluster.auth.user == "me"
    assert config.target("products").log_kind == "ubi"


def test_init_proposes_the_text_fields_of_the_index(command_line, index: LanceDbEngine) -> None:
    Path("desireline.toml").unlink()
    command_line("init", "--index", "occupations")
    assert load_config().target("occupations").text == ("title^2", "description")


def test_init_never_overwrites(command_line) -> None:
    command_line.write()
    before = Path("desireline.toml").read_text()
    assert command_line("init", "--index", "a").exit_code == ExitCode.USAGE
    assert Path("desireline.toml").read_text() == before


def test_init_writes_nothing_that_would_not_load(command_line) -> None:
    result = command_line("init", "--index", "a b", "--text", "_id")
    assert result.exit_code == ExitCode.USAGE
    assert "index: expected an index" in result.stderr
    assert "text.0: '_id'" in result.stderr
    assert not Path("desireline.toml").exists()


def test_init_without_an_index_asks_nobody_where_nobody_is(command_line) -> None:
    result = command_line("init")
    assert result.exit_code == ExitCode.USAGE
    assert "no index was named" in result.stderr


def test_doctor_warns_of_what_is_not_there_yet(command_line, index: LanceDbEngine) -> None:
    body = command_line.json("doctor")
    states = {check["name"]: check["state"] for check in body["checks"]}
    assert states["jobs: index"] == "ok"
    assert states["jobs: text"] == "ok"
    assert states["jobs: generation"] == "warn"
    assert states["jobs: logs"] == "warn"
    assert body["counts"]["fail"] == 0


def test_doctor_names_a_text_field_that_is_not_there(command_line, index: LanceDbEngine) -> None:
    text = Path("desireline.toml").read_text().replace('"description"', '"summary"')
    command_line.write(text)
    checks = {check["name"]: check for check in command_line.json("doctor")["checks"]}
    assert checks["jobs: text"]["state"] == "fail"
    assert "title" in checks["jobs: text"]["next_step"]


def test_doctor_tells_people_the_next_step_of_each_gap(command_line, index: LanceDbEngine) -> None:
    result = command_line("doctor")
    assert result.exit_code == ExitCode.DONE
    assert "      next: desireline reindex jobs" in result.stdout


def test_a_key_is_shown_once_and_can_be_ended(command_line) -> None:
    command_line.write()
    made = command_line.json("keys", "create", "shop", "--scope", "search", "--scope", "embed")
    (listed,) = command_line.json("keys", "list")["keys"]
    assert listed["scopes"] == ["embed", "search"]
    assert made["key"] not in command_line("keys", "list").output
    assert command_line("keys", "revoke", listed["key_id"]).exit_code == ExitCode.DONE
    assert command_line.json("keys", "list")["keys"] == []


def test_generations_say_what_builds_the_first(command_line) -> None:
    command_line.write()
    assert "desireline reindex jobs" in command_line("generations", "jobs").stdout


def test_a_plan_changes_nothing(command_line, index: LanceDbEngine) -> None:
    before = index.describe("occupations")
    result = command_line("reindex", "jobs", "--plan")
    assert result.exit_code == ExitCode.DONE
    assert "3 documents" in result.stdout
    assert index.describe("occupations") == before


def test_without_agreement_nothing_is_embedded(command_line, index: LanceDbEngine) -> None:
    result = command_line("reindex", "jobs", stdin="y\n")
    assert result.exit_code == ExitCode.REFUSED
    assert "add --yes" in result.stderr
    assert index.describe("occupations").slots == {}


@pytest.mark.parametrize(
    ("types", "proposed"),
    [
        ({"sku": "keyword", "body": "text", "title": "text"}, ["title^2", "body"]),
        (
            {"a": "text", "product.name": "text", "summary": "text"},
            ["product.name^2", "summary", "a"],
        ),
        ({"price": "float"}, []),
    ],
)
def test_titles_come_first_and_count_double(types: dict[str, str], proposed: list[str]) -> None:
    assert propose_text_fields(types) == proposed


def test_plain_lines_tell_rate_and_time_left() -> None:
    shown = StringIO()
    clock = iter([0.0, 0.0, 10.0, 20.0])
    reporter = LineReporter(Console(file=shown, width=100), monotonic=lambda: next(clock))
    for done in (0, 50, 100):
        reporter.progress("backfill", done, 100)
    reporter.step("verify", "100 of 100 carry generation 7", generation=7)
    assert shown.getvalue().splitlines() == [
        "backfill    0 of 100",
        "backfill    50 of 100  5/s  10 s left",
        "backfill    100 of 100  5/s  0 s left",
        "verify      100 of 100 carry generation 7",
    ]


def test_plain_lines_do_not_flood() -> None:
    shown = StringIO()
    reporter = LineReporter(Console(file=shown, width=100))
    for done in range(1001):
        reporter.progress("backfill", done, 1000)
    assert len(shown.getvalue().splitlines()) == 21


def test_a_live_bar_ends_with_its_work() -> None:
    shown = StringIO()
    reporter = RichReporter(Console(file=shown, force_terminal=True, width=100))
    reporter.progress("backfill", 0, 10)
    reporter.progress("backfill", 10, 10)
    reporter.progress("nothing", 0, 0)
    reporter.step("verify", "done [all]")
    assert "done [all]" in shown.getvalue()
    assert reporter._progress is None


def test_steps_are_one_json_line_each() -> None:
    stream = StringIO()
    reporter = JsonReporter(stream)
    reporter.step("gate", "better", promote=True)
    for done in range(101):
        reporter.progress("fit", done, 100, loss=0.5)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert lines[0] == {"step": "gate", "sentence": "better", "promote": True}
    assert lines[-1] == {"progress": "fit", "done": 100, "total": 100, "loss": 0.5}
    assert len(lines) == 22
