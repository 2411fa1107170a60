"""A run in one process, its operator in others: real commands on the embedded engine."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from desireline.connectors.documents import Document
from desireline.connectors.engines.lancedb import LanceDbEngine
from desireline.connectors.stores.sqlite import SqliteStore
from desireline.sidecar.cli.exit_codes import ExitCode
from desireline.sidecar.config import load_config
from desireline.sidecar.errors import BackfillError, EncoderUnknownError
from desireline.sidecar.on_request.once import KeyReusedError
from desireline.sidecar.steering.controls import Controls, Wish
from desireline.sidecar.steering.hand import run_view
from desireline.sidecar.wiring import open_sidecar

CONFIG = """
[cluster]
engine = "lancedb"

[targets.things]
index = "things"
text = ["title"]
model = "{model}"

[targets.things.swap]
hold = "12h"
batch_size = 2
"""


@pytest.fixture
def things(command_line, tiny_static: Path):
    """An index of eight documents, nothing built yet."""
    command_line.write(CONFIG.format(model=tiny_static))
    engine = LanceDbEngine(Path("desireline-data/index").absolute())
    engine.create_index("things", ["title"])
    titles = ("the red shoe", "the garden", "a small house", "the river", "a dog", "the sea")
    engine.index_documents(
        "things",
        [Document(document_id=f"d{n}", fields={"title": text}) for n, text in enumerate(titles)],
    )
    return command_line


def begin(*words: str) -> "subprocess.Popen[str]":
    """Run a command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "desireline.sidecar", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(true: Callable[[], Any], process: "subprocess.Popen[str] | None" = None) -> None:
    last = time.monotonic() + 120
    while not true():
        assert time.monotonic() < last, "it did not come to that in two minutes"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.1)


@pytest.fixture
def run(things) -> Iterator[Callable[[], dict[str, Any]]]:
    """Look at the run in the configured store, as `desireline status` does."""
    store = SqliteStore(Path("desireline-data/state.sqlite"))
    yield lambda: run_view(store, "things", Controls(store, "things"))
    store.close()


def test_a_run_is_paused_watched_postponed_and_let_go_from_other_processes(things, run) -> None:
    things("pause", "things")
    things("postpone", "things")
    reindex = begin("reindex", "things", "--yes")
    wait_for(lambda: run()["state"] == "paused", reindex)
    watch = begin("status", "things", "--watch", "--json")
    things("resume", "things")
    wait_for(lambda: "postponed by" in run()["sentence"], reindex)
    wait_for(lambda: run()["run"]["step"] == "caught up", reindex)
    assert things.json("generations", "things")["generations"][0]["state"] == "ready"
    things("cut-over", "things")
    out, err = reindex.communicate(timeout=120)
    assert reindex.returncode == ExitCode.DONE, err
    assert "generation 1 is live" in out
    seen = [json.loads(line) for line in watch.communicate(timeout=60)[0].splitlines()]
    assert watch.returncode == ExitCode.DONE
    assert seen[-1]["state"] == "done"
    assert seen[-1]["run"]["generation"] == 1
    assert "generation 1 is live" in seen[-1]["sentence"]


def test_a_cancelled_run_ends_by_itself_and_the_next_one_is_not_cancelled(things, run) -> None:
    things("pause", "things")
    reindex = begin("reindex", "things", "--yes", "--json")
    wait_for(lambda: run()["state"] == "paused", reindex)
    assert things.json("cancel", "things")["changed"] is True
    out, err = reindex.communicate(timeout=120)
    assert reindex.returncode == ExitCode.REFUSED, err
    assert "cancelled" in json.loads(out)["error"]
    assert run()["state"] == "cancelled"
    assert things.json("cancel", "things")["changed"] is False
    things("resume", "things")
    assert things("reindex", "things", "--yes").exit_code == ExitCode.DONE
    assert run()["state"] == "done"


def test_a_killed_run_is_gone_on_with_by_the_next(things, run) -> None:
    things("pause", "things")
    reindex = begin("reindex", "things", "--yes")
    wait_for(lambda: (run()["run"] or {}).get("throttled"), reindex)
    reindex.kill()
    reindex.communicate()
    things("resume", "things")
    result = things("reindex", "things", "--yes")
    assert result.exit_code == ExitCode.DONE
    assert "generation 1 was interrupted" in result.stderr


def hook(point: str, *words: str) -> str:
    return f"\n[[targets.things.hooks]]\npoint = {point!r}\nprogram = {json.dumps(words)}\n"


def test_hooks_of_the_configuration_stand_at_their_points(things) -> None:
    config = Path("desireline.toml")
    plain = config.read_text()
    said = "import os; open('points', 'a').write(os.environ['DESIRELINE_HOOK'] + ' ')"
    points = ["before_backfill", "before_cut_over", "after_cut_over", "on_success"]
    config.write_text(plain + "".join(hook(p, sys.executable, "-c", said) for p in points))
    assert things("reindex", "things", "--yes").exit_code == ExitCode.DONE
    assert Path("points").read_text().split() == points
    refuse = hook("before_revert", sys.executable, "-c", "print('not on a Friday'); exit(1)")
    config.write_text(plain.replace('"12h"', '"0s"'))
    assert things("reindex", "things", "--yes").exit_code == ExitCode.DONE
    config.write_text(plain + refuse)
    result = things("revert", "things")
    assert result.exit_code == ExitCode.REFUSED
    assert "not on a Friday" in result.stderr


class TestSidecar:
    """The same over the object that the HTTP server asks."""

    @pytest.fixture
    def sidecar(self, things):
        opened = open_sidecar(load_config())
        yield opened
        opened.close()

    def test_a_reindex_asked_for_under_one_key_is_begun_once(self, sidecar) -> None:
        def ask(**keys: Any) -> str:
            return sidecar.start_reindex("things", None, by="ada", **keys)

        first = ask(key="k")
        assert first == "the re-embedding of things has begun"
        assert ask(key="k") == first
        with pytest.raises(KeyReusedError):
            ask(key="k", end_hold=True)
        wait_for(lambda: sidecar.run("things")["state"] == "done")
        assert len(sidecar.generations("things")) == 1
        assert ask(key="k") == first
        assert len(sidecar.generations("things")) == 1

    def test_while_one_runs_no_second_is_begun(self, sidecar) -> None:
        sidecar.steer("things", Wish.PAUSE, by="ada")
        sidecar.start_reindex("things", None, by="ada")
        assert "worked on already" in sidecar.start_reindex("things", None, by="bob")
        wait_for(lambda: sidecar.run("things")["state"] == "paused")
        assert "worked on already" in sidecar.start_reindex("things", None, by="bob")
        sidecar.steer("things", Wish.CANCEL, by="ada")
        wait_for(lambda: sidecar.run("things")["state"] == "cancelled")

    def test_an_encoder_that_nobody_registered_is_refused_by_name(self, sidecar) -> None:
        for name in ("../../secret", "https://evil.example/model", "some/model"):
            with pytest.raises(EncoderUnknownError):
                sidecar.start_reindex("things", name, by="ada")
        assert sidecar.run("things")["run"] is None

    def test_what_the_plan_refuses_is_not_begun(self, sidecar) -> None:
        with pytest.raises(BackfillError, match="nothing was begun"):
            sidecar.start_reindex("things", None, by="ada", way="index")
        assert sidecar.run("things")["run"] is None

    def test_a_revert_said_twice_is_done_once(self, things, sidecar) -> None:
        for _ in range(2):
            assert things("reindex", "things", "--yes").exit_code == ExitCode.DONE
        assert "generation 1 is live" in sidecar.revert("things")
        again = sidecar.revert("things")
        assert "generation 1 was reverted to already" in again
        assert sidecar.revert("things") == again
        assert sidecar.revert("things", 1) == "generation 1 is live already"
        assert "generation 2 is live" in sidecar.revert("things", 2)
