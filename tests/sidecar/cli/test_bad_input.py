"""What users get wrong is answered by one sentence, a next step and an exit code."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from desireline.sidecar.cli.exit_codes import ExitCode

NO_CLUSTER = """
[cluster]
url = "http://127.0.0.1:1"

[targets.jobs]
index = "occupations"
text = ["title"]
"""


def desireline(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "desireline.sidecar", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), **environment},
        stdin=subprocess.DEVNULL,
    )


def test_a_missing_configuration_names_the_command_that_writes_one(tmp_path: Path) -> None:
    done = desireline(tmp_path, "status")
    assert done.returncode == ExitCode.USAGE
    assert done.stderr.splitlines() == [
        "error: there is no configuration file at desireline.toml",
        "next: desireline init writes one; --config names another place",
    ]
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[targets", "desireline.toml is not valid TOML"),
        ('[targets.jobs]\nindx = "a"\ntext = ["b"]', "unknown key; did you mean 'index'?"),
        ('[targets.jobs]\nindx = "a"\ntext = ["b"]', "targets.jobs.index: missing"),
    ],
)
def test_a_wrong_configuration_is_told_line_by_line(command_line, text: str, sentence: str) -> None:
    command_line.write(text)
    result = command_line("status")
    assert result.exit_code == ExitCode.USAGE
    assert sentence in result.stderr
    assert "Traceback" not in result.output


def test_an_unknown_target_is_named_before_anything_is_connected(command_line) -> None:
    command_line.write(NO_CLUSTER)
    result = command_line("tune", "shop")
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr.startswith("error: no target is called 'shop'; configured: jobs")


def test_a_mode_that_is_none_is_refused_with_those_that_are(command_line) -> None:
    command_line.write(NO_CLUSTER)
    result = command_line("tune", "jobs", "--mode", "huge")
    assert result.exit_code == ExitCode.USAGE
    assert all(f"'{mode}'" in result.stderr for mode in ("huge", "adapter", "full", "auto"))


@pytest.mark.parametrize(
    "command",
    [
        ("status", "jobs"),
        ("tune", "jobs"),
        ("search", "jobs", "pilot"),
        ("reindex", "jobs", "--plan"),
        ("keys", "list"),
    ],
)
def test_no_cluster_at_the_address_is_one_sentence(command_line, command) -> None:
    command_line.write(NO_CLUSTER)
    result = command_line(*command)
    assert result.exit_code == ExitCode.FAILED
    assert "no search engine answers at http://127.0.0.1:1" in result.stderr
    assert "next: check the address" in result.stderr


def test_doctor_says_that_no_cluster_answers_and_fails(command_line) -> None:
    command_line.write(NO_CLUSTER)
    body = command_line.json("doctor")
    assert body["counts"]["fail"] == 1
    assert "no search engine answers" in body["checks"][-1]["sentence"]
    assert command_line("doctor").exit_code == ExitCode.FAILED


def test_a_missing_password_names_its_variable(command_line, monkeypatch) -> None:
    monkeypatch.delenv("SEARCH_PASSWORD", raising=False)
    auth = 'auth = { kind = "basic", user = "u", password_env = "SEARCH_PASSWORD" }'
    command_line.write(NO_CLUSTER.replace(':1"', f':1"\n{auth}'))
    result = command_line("status")
    assert result.exit_code == ExitCode.USAGE
    assert "SEARCH_PASSWORD is not set" in result.stderr


@pytest.mark.parametrize("command", [("reindex", "jobs", "--plan"), ("reindex", "jobs", "--yes")])
def test_a_missing_index_is_named(command_line, command) -> None:
    command_line.write()
    result = command_line(*command)
    assert result.exit_code == ExitCode.FAILED
    assert "there is no index 'occupations'" in result.stderr


def test_a_search_before_the_first_generation_says_what_builds_it(command_line) -> None:
    command_line.write()
    result = command_line("search", "jobs", "pilot")
    assert result.exit_code == ExitCode.FAILED
    assert "no live generation" in result.stderr
    assert "next: " in result.stderr


def test_a_revert_without_a_way_back_is_refused(command_line) -> None:
    command_line.write()
    assert command_line("revert", "jobs").exit_code == ExitCode.REFUSED


def test_an_error_is_one_object_for_programs(command_line) -> None:
    command_line.write()
    result = command_line("logs", "jobs", "--json")
    body = json.loads(result.stdout)
    assert body["exit_code"] == result.exit_code == ExitCode.FAILED
    assert "names no click log" in body["error"]
    assert body["next_step"]


def test_a_target_without_logs_cannot_be_tuned_and_says_so(command_line) -> None:
    command_line.write()
    result = command_line("logs", "jobs")
    assert result.exit_code == ExitCode.FAILED
    assert "names no click log" in result.stderr


@pytest.mark.parametrize(
    "arguments", [("frobnicate",), ("tune",), ("search", "jobs", "x", "-k", "0"), ("--config",)]
)
def test_wrong_usage_is_two(command_line, arguments) -> None:
    assert command_line(*arguments).exit_code == ExitCode.USAGE


@pytest.mark.parametrize("line", ["pilot", "pilot\t", "\td1", "pilot\td1\tx"])
def test_a_truth_file_names_its_wrong_line(command_line, line: str) -> None:
    command_line.write()
    Path("truth.tsv").write_text(f"baker\td0\n{line}\n")
    result = command_line("simulate", "jobs", "--truth", "truth.tsv", "--out", "clicks.ndjson")
    assert result.exit_code == ExitCode.FAILED
    assert "line 2 of truth.tsv" in result.stderr
    assert not Path("clicks.ndjson").exists()


def test_a_log_that_exists_is_not_overwritten(command_line) -> None:
    command_line.write()
    Path("truth.tsv").write_text("baker\td0\n")
    Path("clicks.ndjson").write_text("mine")
    result = command_line("simulate", "jobs", "--truth", "truth.tsv", "--out", "clicks.ndjson")
    assert result.exit_code == ExitCode.FAILED
    assert Path("clicks.ndjson").read_text() == "mine"


def test_an_unknown_key_id_is_refused_with_the_way_to_the_list(command_line) -> None:
    command_line.write()
    result = command_line("keys", "revoke", "nope")
    assert result.exit_code == ExitCode.FAILED
    assert "next: desireline keys list" in result.stderr


def test_a_data_folder_that_is_a_file_is_one_sentence(command_line) -> None:
    command_line.write()
    Path("desireline-data").write_text("")
    result = command_line("status")
    assert result.exit_code == ExitCode.FAILED
    assert "desireline-data cannot be made" in result.stderr


def test_a_damaged_state_is_one_sentence(command_line) -> None:
    command_line.write()
    Path("desireline-data").mkdir()
    Path("desireline-data/state.sqlite").write_bytes(b"this is no database" * 100)
    result = command_line("status")
    assert result.exit_code == ExitCode.FAILED
    assert "Traceback" not in result.output


def test_a_defect_is_one_line_and_its_traceback_is_kept(command_line, monkeypatch) -> None:
    def fails(_path: Path) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("desireline.sidecar.cli.session.load_config", fails)
    result = command_line("status")
    assert result.exit_code == ExitCode.DEFECT
    assert "unexpected ZeroDivisionError" in result.stderr
    (kept,) = command_line.folder.joinpath("cache/desireline/errors").iterdir()
    assert str(kept) in result.stderr
    assert "a defect" in kept.read_text()


def test_verbose_shows_where_an_error_came_from(command_line) -> None:
    assert "Traceback" in command_line("status", "--verbose").stderr
    assert "Traceback" not in command_line("status").stderr


def test_control_c_says_what_is_safe_and_how_to_go_on(command_line, monkeypatch) -> None:
    def interrupts(_path: Path) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("desireline.sidecar.cli.session.load_config", interrupts)
    # Where the tests themselves run in the background, a shell had SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        result = command_line("tune", "jobs")
    finally:
        signal.signal(signal.SIGINT, before)
    assert result.exit_code == ExitCode.INTERRUPTED
    assert "what serves is unchanged" in result.stderr
    assert "desireline tune" in result.stderr


def test_an_address_that_is_taken_is_one_sentence(command_line) -> None:
    import socket

    command_line.write()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = command_line("serve", "--port", str(taken.getsockname()[1]))
    assert result.exit_code == ExitCode.FAILED
    assert "cannot listen at 127.0.0.1" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fit",), "--train"),
        (("tune",), "target"),
        (("tune", "jobs", "--mode", "wrong"), "wrong"),
        (("models", "nosuch"), "nosuch"),
        (("synthesise",), "synthesise"),
    ],
)
def test_programs_are_told_of_wrong_usage_in_their_one_object(
    command_line, arguments: tuple[str, ...], words: str
) -> None:
    result = command_line("--json", *arguments)
    body = json.loads(result.stdout)
    assert result.exit_code == body["exit_code"] == ExitCode.USAGE
    assert words in body["error"]
    assert body["next_step"].endswith("--help")
    assert command_line(*arguments).stdout == ""
