"""Invariant 37: a hook aborts or is ignored as configured, and never hangs what it stands at."""

import json
import os
import select
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from desireline.sidecar.config import child_environment
from desireline.sidecar.configuration.hooks import HookConfig, HookPoint
from desireline.sidecar.errors import HookRefusedError
from desireline.sidecar.hooks.output import last_line
from desireline.sidecar.hooks.points import Hooks

FACTS = {"target": "products", "generation": "7", "reason": "größer als gedacht 🙂"}
BEFORE = HookPoint.BEFORE_CUT_OVER


def script(*lines: str, point: HookPoint = BEFORE, **keys) -> HookConfig:
    """A hook that is a Python program of these lines."""
    return HookConfig(point=point, program=(sys.executable, "-c", "\n".join(lines)), **keys)


def hooks(*found: HookConfig) -> Hooks:
    return Hooks(found, environment=child_environment())


def run(*found: HookConfig, point: HookPoint = BEFORE) -> None:
    hooks(*found).run(point, FACTS)


def refusal(*found: HookConfig) -> str:
    with pytest.raises(HookRefusedError) as told:
        run(*found)
    return str(told.value)


def test_a_program_is_told_the_facts_in_its_environment_and_on_stdin(tmp_path: Path) -> None:
    out = tmp_path / "told"
    run(
        script(
            "import json, os, sys",
            "names = {k: v for k, v in os.environ.items() if k.startswith('DESIRELINE_')}",
            f"open({str(out)!r}, 'w').write(json.dumps([names, json.load(sys.stdin)]))",
        )
    )
    names, given_facts = json.loads(out.read_text())
    assert given_facts == {"hook": "before_cut_over", **FACTS}
    assert names == {
        "DESIRELINE_HOOK": "before_cut_over",
        "DESIRELINE_TARGET": "products",
        "DESIRELINE_GENERATION": "7",
        "DESIRELINE_REASON": FACTS["reason"],
    }


def test_a_program_sees_no_secret_of_ours(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("DESIRELINE_PASSWORD", "hunter2")
    out = tmp_path / "environment"
    run(script("import os", f"open({str(out)!r}, 'w').write(repr(dict(os.environ)))"))
    assert "hunter2" not in out.read_text()


def test_a_refusal_names_the_hook_its_status_and_its_last_line() -> None:
    said = refusal(
        script("import sys", "print('first')", "print('freeze until Monday'); sys.exit(3)")
    )
    assert f"the hook {sys.executable!r} at before_cut_over said no" in said
    assert "it ended with status 3: freeze until Monday" in said
    assert said.endswith("what serves is unchanged")


def test_a_program_that_dies_by_a_signal_is_told_as_such() -> None:
    said = refusal(script("import os", "os.kill(os.getpid(), 9)"))
    assert "it was ended by SIGKILL" in said


@pytest.mark.parametrize("point", [each for each in HookPoint if not each.guards])
def test_where_nothing_is_guarded_a_failure_is_only_logged(point: HookPoint, caplog) -> None:
    run(script("raise SystemExit(1)", point=point), point=point)


def test_an_ignored_hook_stops_nothing_even_where_it_guards() -> None:
    run(script("raise SystemExit(1)", on_failure="ignore"))


def test_only_the_hooks_of_this_point_run(tmp_path: Path) -> None:
    run(script(f"open({str(tmp_path / 'x')!r}, 'w')", point=HookPoint.BEFORE_REVERT))
    assert not (tmp_path / "x").exists()


def test_the_first_refusal_ends_the_row(tmp_path: Path) -> None:
    marks = [tmp_path / name for name in ("first", "third")]
    refusal(
        script(f"open({str(marks[0])!r}, 'w')"),
        script("raise SystemExit(1)"),
        script(f"open({str(marks[1])!r}, 'w')"),
    )
    assert [mark.exists() for mark in marks] == [True, False]


def test_a_program_that_hangs_is_killed_with_all_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    for timeout in (1.5, 6, 24, 96):
        said = refusal(
            script(
                "import os, subprocess, sys, time",
                "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])",
                f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')",
                "time.sleep(600)",
                timeout=timeout,
            )
        )
        assert f"it was killed after {timeout:g} s" in said
        if pids.exists() and pids.read_text():  # a busy machine may not come so far in time
            break
    assert len(pids.read_text().split()) == 2
    assert all(ends(int(pid)) for pid in pids.read_text().split())


def test_a_program_that_ignores_being_asked_to_end_is_killed_all_the_same() -> None:
    said = refusal(
        script(
            "import signal, time",
            "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):",
            "    signal.signal(number, signal.SIG_IGN)",
            "time.sleep(600)",
            timeout=0.5,
        )
    )
    assert "it was killed" in said


def test_a_child_left_behind_with_the_pipe_open_holds_nothing_up(tmp_path: Path) -> None:
    """It agrees, though the child keeps the pipe open ten times as long as there is time."""
    pid = tmp_path / "pid"
    run(
        script(
            "import subprocess, sys",
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])",
            f"open({str(pid)!r}, 'w').write(str(child.pid))",
            timeout=60,
        )
    )
    assert ends(int(pid.read_text()))


def test_a_flood_of_output_is_thrown_away_and_its_end_is_kept() -> None:
    said = refusal(
        script(
            "import sys",
            "for _ in range(400): sys.stdout.write('x' * 100_000)",
            "print(); print('the end'); sys.exit(1)",
            timeout=60,
        )
    )
    assert said.count("x") < 500
    assert "status 1: the end" in said


def test_a_program_that_writes_for_ever_is_killed() -> None:
    assert "it was killed" in refusal(script("while True: print('y' * 1000)", timeout=0.7))


def test_a_program_that_closes_its_output_is_waited_for_and_its_status_counts() -> None:
    said = refusal(
        script(
            "import os, sys, time",
            "os.close(0); os.close(1); os.close(2)",
            "time.sleep(0.3); os._exit(4)",
        )
    )
    assert "it ended with status 4" in said


def test_large_facts_that_nobody_reads_hold_nothing_up() -> None:
    hooks(script("raise SystemExit(0)")).run(BEFORE, {"reason": "z" * 5_000_000})


def test_large_facts_reach_whoever_reads_them(tmp_path: Path) -> None:
    out = tmp_path / "length"
    hook = script(
        "import json, sys",
        f"open({str(out)!r}, 'w').write(str(len(json.load(sys.stdin)['reason'])))",
    )
    hooks(hook).run(BEFORE, {"reason": "z" * 3_000_000})
    assert out.read_text() == "3000000"


@pytest.mark.parametrize("program", ["/nothing/here", "no-such-program-anywhere", "/tmp"])
def test_a_program_that_cannot_be_started_is_a_failure(program: str) -> None:
    said = refusal(HookConfig(point=BEFORE, program=(program,)))
    assert "it could not be started: " in said


def test_words_are_never_read_by_a_shell(tmp_path: Path) -> None:
    out = tmp_path / "words"
    words = ["$(touch owned)", "; touch owned", "a b", "*"]
    line = f"import json, sys; open({str(out)!r}, 'w').write(json.dumps(sys.argv[1:]))"
    run(HookConfig(point=BEFORE, program=(sys.executable, "-c", line, *words)))
    assert json.loads(out.read_text()) == words


@settings(max_examples=15, deadline=None)
@given(value=st.text(max_size=200))
def test_whatever_a_fact_says_a_program_can_be_started(value: str) -> None:
    hooks(HookConfig(point=BEFORE, program=("/bin/true",))).run(BEFORE, {"reason": value})


@given(st.binary(max_size=400))
def test_the_last_line_of_any_output_is_one_short_printable_line(output: bytes) -> None:
    shown = last_line(output)
    assert shown.isprintable()
    assert len(shown) <= 201


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"program": ["a"], "webhook": "https://hooks.example.org/"},
        {"program": []},
        {"program": [" "]},
        {"program": ["a\0b"]},
        {"program": ["a"], "timeout": 0},
        {"program": ["a"], "timeout": "2h"},
        {"program": ["a"], "on_failure": "stop", "point": "after_cut_over"},
        {"program": ["a"], "point": "before_lunch"},
        {"webhook": "https://user:secret@hooks.example.org/"},
        {"webhook": "ftp://hooks.example.org/"},
        {"webhook": "https:///path"},
        {"webhook": "https://hooks.example.org:0/"},
        {"webhook": "https://hooks.example.org:99999/"},
        {"webhook": "https://hooks.example.org/a\r\nHost: b"},
        {"webhook": "https://hooks.example.org\\@evil.example/"},
        {"webhook": "https://hooks.example.org/#x"},
    ],
)
def test_a_hook_that_cannot_be_meant_is_refused_when_it_is_read(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        HookConfig.model_validate({"point": "before_backfill", **wrong})


def ends(pid: int) -> bool:
    """Whether a process that was killed is gone within seconds."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], 60)[0])
    finally:
        os.close(watched)
