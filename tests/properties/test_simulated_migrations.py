"""Hundreds of simulated migrations without a violation, and mutants that are found out.

`python tests/simulation/migrations.py --count 10000` runs as many as one likes. A violation
names its seed; the same seed tells the same story again.
"""

import importlib
import inspect
import json
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest
from migrations import many

SEEDS = range(200)
#: Seeds a mutant may live through, and how many are tried at a time.
ENOUGH, PORTION = 600, 20
RUNNER = Path(__file__).parent.parent / "simulation" / "migrations.py"


@dataclass(frozen=True)
class Mutant:
    """One line of production code, made wrong."""

    name: str
    #: Module, and the path of the function in it.
    place: tuple[str, str]
    right: str
    wrong: str
    #: Other modules that hold the function under the same name.
    also: tuple[str, ...] = ()
    #: Requests at which sidecars freeze; empty: whatever the seeds draw.
    tender: str = ""


MUTANTS = (
    Mutant(
        name="the fence is the highest number seen, not the checkpoint",
        place=("connectors.opensearch_shards", "_started_primaries"),
        right='["global_checkpoint"]',
        wrong='["max_seq_no"]',
    ),
    Mutant(
        name="the refresh comes before the checkpoint is read",
        place=("connectors.engines.opensearch", "OpenSearchEngine.fence"),
        right="shards = all_shards(self._cluster, index)",
        wrong="refresh(self._cluster, index)\n    shards = all_shards(self._cluster, index)\n"
        "    beyond = Fence(positions={shard.key: shard.checkpoint for shard in shards})",
    ),
    Mutant(
        name="writes carry no guard",
        place=("connectors.engines.opensearch_bulk", "embedding_line"),
        right="write.version",
        wrong="Version(seq_no=-2, primary_term=0)",
        also=("connectors.engines.opensearch",),
    ),
    Mutant(
        name="nothing is caught up",
        place=("sidecar.catchup", "catch_up"),
        right="if until == since:",
        wrong="if True:",
        also=("sidecar.follower", "sidecar.verify", "sidecar.building"),
    ),
    Mutant(
        name="nobody asks whether the lease is still held",
        place=("sidecar.lease", "Lease.check"),
        right="if self._lost:",
        wrong="if False:",
    ),
    Mutant(
        name="the pointer is written whatever it is by now",
        place=("sidecar.generations", "Generations.point"),
        right="expected=expected",
        wrong="expected=self._store.get(POINTER, self.target)",
        tender=r"GET /.desireline-state/_doc/.*",
    ),
    Mutant(
        name="what an owner without lease began is gone on with, even in the live slot",
        place=("sidecar.building", "_takes_the_live_slot"),
        right="live is not None and",
        wrong="False and",
        tender=r"GET /jobs.*",
    ),
)


def plant(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the line wrong, everywhere it is called."""
    name, path = mutant.place
    module = importlib.import_module(f"desireline.{name}")
    owner: object = module
    *outer, function = path.split(".")
    for each in outer:
        owner = getattr(owner, each)
    source = textwrap.dedent(inspect.getsource(getattr(owner, function)))
    assert mutant.right in source, f"{mutant.name}: the line has changed, name it anew"
    made: dict[str, object] = {}
    wrong = source.replace(mutant.right, mutant.wrong)
    exec(compile(wrong, mutant.name, "exec"), vars(module), made)
    monkeypatch.setattr(owner, function, made[function])
    for other in mutant.also:
        holder = importlib.import_module(f"desireline.{other}")
        monkeypatch.setattr(holder, function, made[function], raising=False)


def test_nothing_is_lost_mixed_or_left_behind_whatever_the_seed() -> None:
    results = many(SEEDS)
    assert [r["violation"] for r in results if r["violation"]] == []
    assert all(sum(r[what] for r in results) > 1000 for what in ("acknowledged", "searches"))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_mutant_is_found_out_within_hundreds_of_seeds(
    mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(mutant, monkeypatch)
    for first in range(0, ENOUGH, PORTION):
        found = many(range(first, first + PORTION), tender=mutant.tender)
        if any(result["violation"] for result in found):
            return
    raise AssertionError(f"{mutant.name} goes unnoticed")


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
