"""Benchmarks end in one way, and each has its row in docs/results.md."""

import ast
import json
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "tests" / "benchmarks"
NAMES = {path.stem for path in BENCHMARKS.glob("*.py")} - {"all"}
HELD = runpy.run_path(str(BENCHMARKS / "goals" / "held.py"))


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(("holds", "code"), [((), 0), ((True, True), 0), ((True, False), 1)])
def test_a_missed_goal_is_the_exit_code_of_a_whole_and_of_a_short_run(
    tmp_path, capsys, holds, code, quick
) -> None:
    file = tmp_path / "numbers.json"
    goals = [HELD["goal"](f"figure {n}", ">= 1", n / 3, holds=held) for n, held in enumerate(holds)]
    assert HELD["conclude"]("some", goals, quick=quick, file=file, rows=[1, 2]) == code
    written = json.loads(file.read_text())
    assert written["goals"] == goals
    assert (written["benchmark"], written["rows"]) == ("some", [1, 2])
    assert written["machine"]["quick"] is quick
    assert capsys.readouterr().out.count("MISSED") == holds.count(False)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_benchmark_ends_by_what_all_end_by(name) -> None:
    code = ast.walk(ast.parse((BENCHMARKS / f"{name}.py").read_text(encoding="utf-8")))
    called = [
        node.func.id for node in code if isinstance(node, ast.Call) and hasattr(node.func, "id")
    ]
    assert called.count("conclude") == 1


def test_every_benchmark_has_its_row_which_says_whether_a_short_run_of_all_has_it() -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    rows = dict(
        re.findall(r"`make bench NAME=(\w+)` \|.*\| ([a-z ]+) \|$", page, flags=re.MULTILINE)
    )
    assert rows.keys() == NAMES
    left_out = runpy.run_path(str(BENCHMARKS / "all.py"))["LONG"]
    assert rows == {name: "leaves it out" if name in left_out else "runs it" for name in NAMES}
