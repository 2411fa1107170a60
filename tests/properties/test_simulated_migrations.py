"""Hundreds of simulated migrations without a violation, and mutants that are found out.

`python tests/simulation/migrations.py --count 10000` runs as many as one likes. A violation
names its seed; the same seed tells the same story again.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from migrations import many
from mutants import MUTANTS, Mutant

SEEDS = range(240)
QUERY_SEEDS = range(24)
#: Seeds a mutant may live through.
ENOUGH = range(600)
RUNNER = Path(__file__).parent.parent / "simulation" / "migrations.py"


def test_nothing_is_lost_mixed_or_left_behind_whatever_the_seed() -> None:
    results = list(many(SEEDS))
    assert [r["violation"] for r in results if r["violation"]] == []
    assert all(sum(r[what] for r in results) > 1000 for what in ("acknowledged", "searches"))
    assert sum(r["swaps"] for r in results) > 100
    assert {r["way"] for r in results} == {"slot", "index"}


def test_nor_where_query_encoders_share_the_vectors_of_another_generation() -> None:
    results = list(many(QUERY_SEEDS, way="query"))
    assert [r["violation"] for r in results if r["violation"]] == []
    assert {r["way"] for r in results} == {"slot", "index"}
    assert sum(r["query_swaps"] for r in results) > len(QUERY_SEEDS) // 2


@pytest.mark.parametrize(
    "mutant",
    [pytest.param(each, marks=pytest.mark.slow if each.rare else ()) for each in MUTANTS],
    ids=lambda mutant: mutant.name.replace(" ", "-"),
)
def test_a_mutant_is_found_out_within_hundreds_of_seeds(mutant: Mutant) -> None:
    assert any(result["violation"] for result in many(ENOUGH, mutant=mutant))


def test_a_seed_tells_the_same_story_in_another_process() -> None:
    code = f"import migrations; print([r['digest'] for r in map(migrations.one, {[3, 11, 47]})])"
    stories = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=RUNNER.parent,
            env={"PYTHONHASHSEED": salt, "PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()[-1]
        for salt in ("1", "2")
    }
    assert len(stories) == 1


def test_the_runner_counts_and_writes_its_figures(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, str(RUNNER), "--count", "3", "--processes", "1"]
    subprocess.run([*command, "--json", str(figures)], check=True, capture_output=True)
    found = json.loads(figures.read_text())
    assert (found["migrations"], found["violations"], found["first_seed"]) == (3, 0, 0)
