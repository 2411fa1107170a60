"""The operator's hand on a run from the command line, and the eye on it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from desireline.connectors.errors import StateUnavailableError
from desireline.connectors.stores.sqlite import SqliteStore
from desireline.sidecar.cli.exit_codes import ExitCode
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.cli.watch import Watch, _picture
from desireline.sidecar.lease import LEASE
from desireline.sidecar.steering.controls import Controls
from desireline.sidecar.steering.hand import run_view
from desireline.sidecar.steering.run_status import RUN, Pulse, RunStatus
from desireline.sidecar.steering.steps import Step

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def store(command_line) -> Iterator[SqliteStore]:
    """The configured state store, as another process has it."""
    command_line.write()
    Path("desireline-data").mkdir()
    opened = SqliteStore(Path("desireline-data/state.sqlite"))
    yield opened
    opened.close()


def status(**fields) -> RunStatus:
    given = {
        "target": "jobs",
        "run": "run 1",
        "generation": 7,
        "way": "slot",
        "step": Step.BATCH_WRITTEN,
        "counting": "backfill",
        "done": 50,
        "total": 200,
        "rate": 10.0,
        "eta_s": 15.0,
        "started_at": NOON,
        "host": "here",
        "pid": 1,
        "fencing": 3,
    }
    return RunStatus.model_validate(given | fields)


def plant(store, *, owned: bool = True, **fields) -> None:
    """Be a run in another process."""
    body = status(**fields).model_dump(mode="json")
    store.put(RUN, "jobs", body, expected=store.get(RUN, "jobs"))
    owner = {"host": "elsewhere", "pid": 1, "started": "1"} if owned else {}
    lease = {"owner": owner, "fencing": 3, "beat": 1}
    store.put(LEASE, "jobs", lease, expected=store.get(LEASE, "jobs"))


@pytest.mark.parametrize(
    ("command", "first", "again"),
    [
        (["pause"], "is paused", "was paused already, by "),
        (["postpone"], "is postponed until", "was postponed already, by "),
        (["throttle", "200"], "is throttled to 200 documents a second", "already"),
        (["cancel"], "is cancelled", "was cancelled already, by "),
    ],
)
def test_a_wish_said_twice_is_done_once_and_says_so(
    command_line, store, command: list[str], first: str, again: str
) -> None:
    Controls(store, "jobs").begin("run 1")
    words = [command[0], "jobs", *command[1:]]
    result = command_line(*words)
    assert result.exit_code == ExitCode.DONE
    assert first in result.stdout
    body = command_line.json(*words)
    assert again in body["sentence"]
    assert body == {"target": "jobs", "sentence": body["sentence"], "changed": False}


@pytest.mark.parametrize("command", ["resume", "cut-over", "cancel"])
def test_where_there_is_nothing_to_do_a_command_says_so_and_is_done(
    command_line, store, command: str
) -> None:
    result = command_line(command, "jobs")
    assert result.exit_code == ExitCode.DONE
    assert "not" in result.stdout


def test_what_one_process_asks_another_reads(command_line, store) -> None:
    for words in (["pause", "jobs"], ["throttle", "jobs", "12.5"], ["postpone", "jobs"]):
        command_line(*words)
    found = Controls(store, "jobs").read()
    assert (found.paused, found.documents_a_second, found.postponed) == (True, 12.5, True)
    assert "@" in found.marks["paused"].by
    for words in (["resume", "jobs"], ["throttle", "jobs", "off"], ["cut-over", "jobs"]):
        command_line(*words)
    found = Controls(store, "jobs").read()
    assert (found.paused, found.documents_a_second, found.postponed) == (False, None, False)


@pytest.mark.parametrize("rate", ["0", "fast", "nan", "inf", "1e999", ""])
def test_a_rate_that_is_none_is_wrong_usage(command_line, store, rate: str) -> None:
    result = command_line("throttle", "jobs", rate)
    assert result.exit_code == ExitCode.USAGE
    assert "no rate; nothing changed" in result.stderr
    assert "next: " in result.stderr


def test_a_cancel_of_a_run_that_is_over_leaves_the_next_alone(command_line, store) -> None:
    controls = Controls(store, "jobs")
    controls.begin("run 2")
    result = command_line("cancel", "jobs", "--run", "run 1")
    assert "another is under way" in result.stdout
    assert not controls.read().cancelled


def test_the_flag_file_of_the_configuration_is_looked_at(command_line, store) -> None:
    config = Path("desireline.toml")
    config.write_text(config.read_text() + '[targets.jobs.swap]\npostpone_flag = "wait"\n')
    Path("wait").touch()
    assert "flag file" in command_line("cut-over", "jobs").stdout
    plant(store)
    assert (
        "the flag file" in command_line.json("status", "jobs")["targets"]["jobs"]["run"]["sentence"]
    )


def test_status_tells_where_a_run_stands(command_line, store) -> None:
    assert command_line.json("status")["targets"]["jobs"]["run"]["state"] == "none"
    plant(store)
    found = command_line.json("status", "jobs")["targets"]["jobs"]["run"]
    assert found["state"] == "running"
    assert found["sentence"] == (
        "generation 7 in its slot, batch written; backfill 50 of 200, 10/s, 15 s left"
    )


@pytest.mark.parametrize(
    ("fields", "state", "said"),
    [
        ({"throttled": "CPU at 91 %"}, "throttled", "throttled: CPU at 91 %"),
        ({"owned": False}, "lost", "its process ended without saying so"),
        ({"ended_at": NOON, "outcome": "done", "sentence": "generation 7 is live"}, "done", "live"),
        ({"ended_at": NOON, "outcome": "failed", "sentence": "3 differ"}, "failed", "3 differ"),
        ({"generation": None, "total": 0}, "running", "it begins"),
    ],
)
def test_every_state_of_a_run_has_its_word_and_sentence(store, fields, state, said) -> None:
    plant(store, **fields)
    view = run_view(store, "jobs", Controls(store, "jobs"))
    assert view["state"] == state
    assert said in view["sentence"]


def test_a_paused_and_postponed_run_says_both(store) -> None:
    plant(store)
    controls = Controls(store, "jobs")
    controls.pause(by="ada")
    controls.postpone(by="bob")
    view = run_view(store, "jobs", controls)
    assert view["state"] == "paused"
    assert "paused by ada" in view["sentence"]
    assert "postponed by bob" in view["sentence"]


def test_watching_without_a_run_ends_at_once(command_line, store) -> None:
    result = command_line("status", "jobs", "--watch")
    assert result.exit_code == ExitCode.DONE
    assert "no run of jobs has been made yet" in result.stdout


@pytest.mark.parametrize(
    ("outcome", "code"), [("done", ExitCode.DONE), ("failed", ExitCode.FAILED)]
)
def test_watching_ends_as_the_run_ended(command_line, store, outcome: str, code) -> None:
    plant(store, ended_at=NOON, outcome=outcome, sentence="that was it")
    result = command_line("status", "jobs", "--watch")
    assert result.exit_code == code
    assert "that was it" in result.stdout


def test_only_one_target_can_be_watched(command_line) -> None:
    command_line.write()
    config = Path("desireline.toml")
    config.write_text(config.read_text() + '[targets.more]\nindex = "b"\ntext = ["t"]\n')
    assert command_line("status", "--watch").exit_code == ExitCode.USAGE


class Story:
    """What a watcher sees, look by look, without waiting."""

    def __init__(self, store, *chapters) -> None:
        self.store = store
        self.chapters = iter(chapters)
        self.now = 0.0

    def look(self):
        chapter = next(self.chapters, None)
        if chapter is not None:
            chapter()
        return run_view(self.store, "jobs", Controls(self.store, "jobs"))

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def follow(story: Story, *, as_json: bool = False) -> ExitCode:
    return Watch(
        terminal=Terminal(as_json=as_json),
        look=story.look,
        coverage=lambda number: f"{number} covers all",
        patience_s=60.0,
        sleep=story.sleep,
        pulse=Pulse(monotonic=lambda: story.now),
    ).until_end()


def test_a_run_is_followed_in_plain_lines_until_it_ends(store, capsys) -> None:
    story = Story(
        store,
        lambda: plant(store),
        lambda: plant(store),
        lambda: plant(store, done=150, eta_s=5.0),
        lambda: plant(store, done=200, ended_at=NOON, outcome="done", sentence="live"),
    )
    assert follow(story) is ExitCode.DONE
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "50 of 200" in lines[0]
    assert lines[0].endswith("7 covers all")
    assert "150 of 200" in lines[1]
    assert lines[2].startswith("done: live")


def test_programs_get_one_json_object_a_change(store, capsys) -> None:
    story = Story(
        store,
        lambda: plant(store),
        lambda: plant(store),
        lambda: plant(store, ended_at=NOON, outcome="cancelled"),
    )
    assert follow(story, as_json=True) is ExitCode.FAILED
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [view["state"] for view in shown] == ["running", "cancelled"]
    assert shown[0]["run"]["done"] == 50
    assert shown[0]["coverage"] == "7 covers all"


def test_a_run_without_a_sign_of_life_is_given_up(store, capsys) -> None:
    story = Story(store, lambda: plant(store))
    assert follow(story) is ExitCode.FAILED
    assert "has shown no life" in capsys.readouterr().err
    assert 60 <= story.now < 70


def test_a_store_that_is_away_for_a_moment_ends_no_watching(store, capsys) -> None:
    def away() -> None:
        raise StateUnavailableError("no answer")

    story = Story(
        store,
        lambda: plant(store),
        away,
        lambda: plant(store, ended_at=NOON, outcome="done", sentence="live"),
    )
    assert follow(story) is ExitCode.DONE
    assert "cannot look at present: no answer" in capsys.readouterr().err


@pytest.mark.parametrize("width", [40, 120])
def test_the_picture_of_a_run_shows_bar_rate_and_reason(store, width: int) -> None:
    plant(store, throttled="CPU at 91 % [of 2 cores]")
    shown = StringIO()
    view = run_view(store, "jobs", Controls(store, "jobs"))
    console = Console(file=shown, force_terminal=True, width=width, color_system=None)
    console.print(_picture({**view, "coverage": "50 of 200 documents carry it"}))
    text = " ".join(shown.getvalue().split())
    assert "━" in text
    assert "50 of 200" in text
    assert "10/s" in text
    assert "[of 2 cores]" in text
    assert max(map(len, shown.getvalue().splitlines())) <= width
