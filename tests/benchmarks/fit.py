"""Training: pairs a processor second, and held-out nDCG@10, of each way on the same pairs.

    python tests/benchmarks/fit.py [--quick] [--json FILE] [--peer] [--only WAY ...]

True pairs of O*NET (`--world tldr`: of tldr), MiniLM, batches of 64 distinct documents, 32 tokens
a query and 48 a document, one thread. Ways take turns in every round, each in a process of its
own, and are measured in processor seconds from the end of their first step to their last, so a
busy machine is busy for all of them: read the ratios, not the numbers. Each round has a seed of
its own; all ways of a round learn from the same pairs.

The vectors of documents, and an adapter's of queries, are found, as in a cycle, which encodes both
for its features before it trains; making them is not counted, and the rate of the loop alone
never held it.

Finished measurements are kept in `--cells`, so that a killed run goes on; ask for an empty file to
measure anew.

`--peer` builds an environment for opensearch-py-ml (gigabytes; needs `uv` and the network) and
runs its own `train()`. Rows called "without ..." are ours with one shortcut taken back.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from apart.child import run_apart
from goals.held import conclude, goal
from goals.interval import Values, interval
from mining.worlds import DATA, at_hand
from resuming.cells import Cells

HERE = Path(__file__).parent
PROGRAM = HERE / "training" / "one_way.py"
CELLS = HERE.parents[1] / ".cache" / "bench" / "fit.jsonl"
PEER_PACKAGES = (
    "opensearch-py-ml==1.3.0",
    # What it needs but does not ask for, and the last it works with.
    "sentence-transformers<4",
    "transformers<5",
    "accelerate<2",
    "pandas<3",
    "mdutils",
    "torch",
)
_SAME = {"batch": 64, "learning_rate": 2e-4, "passes": 1.0}
_ONE = {"pairs_a_document": 1}
_FLOAT = {"precision": "float32"}
_FROZEN = {"frozen_layers": 3}
_NOT_KEPT = {"frozen_cache_mb": 0}
#: By name: who trains, and how.
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "sentence-transformers": ("plain", _SAME),
    "opensearch-py-ml": ("peer", _SAME),
    "full": ("ours", _SAME),
    "full, one pair a document": ("ours", _SAME | {"options": _ONE}),
    "query": ("ours", _SAME | {"options": {"mode": "query"}}),
    "adapter": ("ours", _SAME | {"options": {"mode": "adapter"}, "vectors": "found"}),
    "static": ("static", _SAME | {"batch": 512, "learning_rate": 2e-2, "passes": 20.0}),
    "sentence-transformers, bfloat16": ("plain", _SAME | {"options": {"bf16": True}}),
    "full without bfloat16": ("ours", _SAME | {"options": _FLOAT}),
    "full, one pair a document, without bfloat16": ("ours", _SAME | {"options": _ONE | _FLOAT}),
    "query without bfloat16": ("ours", _SAME | {"options": {"mode": "query"} | _FLOAT}),
    "full without frozen word vectors": (
        "ours",
        _SAME | {"options": {"freeze_token_embeddings": False}},
    ),
    "full, 3 layers frozen": ("ours", _SAME | {"options": _FROZEN}),
    "full, 3 layers frozen, not kept": ("ours", _SAME | {"options": _FROZEN | _NOT_KEPT}),
    "query, 3 layers frozen": ("ours", _SAME | {"options": {"mode": "query"} | _FROZEN}),
    "query, 3 layers frozen, not kept": (
        "ours",
        _SAME | {"options": {"mode": "query"} | _FROZEN | _NOT_KEPT},
    ),
    "query, 5 layers frozen": ("ours", _SAME | {"options": {"mode": "query", "frozen_layers": 5}}),
}
BASELINE = "sentence-transformers"
#: Ratio of pairs a processor second: way, to which, at least.
RATIOS = (
    ("full", "sentence-transformers", 1.8),
    ("full, one pair a document", "sentence-transformers", 1.8),
    ("full", "opensearch-py-ml", 2.5),
    ("query", "sentence-transformers", 5.0),
    ("adapter", "sentence-transformers", 1_000.0),
    ("static", "sentence-transformers", 300.0),
)
#: Beside those that a goal names, what a quick run measures: the same on a plainer processor.
QUICK = (
    "full without bfloat16",
    "full, one pair a document, without bfloat16",
    "query without bfloat16",
)


@dataclass(kw_only=True)
class Measured:
    """What one way did, round by round."""

    rates: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    #: nDCG@10 of each held-out query; mean over the rounds.
    values: list[list[float]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    @property
    def per_query(self) -> Values:
        return np.asarray(np.mean(self.values, axis=0))


def peer_python(folder: Path) -> str:
    """Build the environment of opensearch-py-ml; return its python."""
    uv = shutil.which("uv") or str(HERE.parents[1] / ".uv" / "bin" / "uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    python = str(folder / "bin" / "python")
    install = [uv, "pip", "install", "--quiet", "--python", python, *PEER_PACKAGES]
    subprocess.run(install, check=True)
    return python


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all ways of a run share."""

    world: str
    split: str
    data: Path
    pairs: int
    rounds: int
    python: str
    cells: Cells
    scratch: Path

    def measure(self, names: list[str]) -> dict[str, Measured]:
        """Let the ways take turns; the order turns with the round."""
        found: dict[str, Measured] = {name: Measured() for name in names}
        for seed in range(self.rounds):
            turn = seed % len(names)
            for name in names[turn:] + names[:turn]:
                of = {"world": self.world, "pairs": self.pairs, "seed": seed, "way": name}
                if self.split != "test":
                    of["split"] = self.split
                one = self.cells.get(of | WAYS[name][1], partial(self._one, name, seed))
                row = found[name]
                row.rates.append(one["pairs_a_second"])
                row.cpu_s.append(one["cpu_s"])
                row.steps.append(one["steps"])
                row.values.append(one["values"]["ndcg@10"])
                print(f"round {seed} {name}: {one['pairs_a_second']:.0f} pairs/CPU s", flush=True)
        return found

    def _one(self, name: str, seed: int) -> dict[str, Any]:
        by, recipe = WAYS[name]
        pairs = self.scratch / f"pairs-{seed}"
        job = {
            "world": self.world,
            "data": str(self.data),
            "kind": "true",
            "split": self.split,
            "seed": seed,
            "most": self.pairs,
            "pairs": str(pairs),
            "peer_python": self.python,
        }
        if not pairs.exists():
            run_apart(PROGRAM, job | {"way": "pairs"}, self.scratch)
        job |= {"way": name, "recipe_of": by, "recipe": recipe}
        return run_apart(PROGRAM, job, self.scratch)


def table(found: dict[str, Measured]) -> list[dict[str, Any]]:
    """Print and return a row a way."""
    rows = []
    first = found.get(BASELINE)
    print("| way | pairs/CPU s | times the Trainer | CPU s in all | nDCG@10 | over the Trainer |")
    for name, row in found.items():
        ratio = row.rate / first.rate if first else float("nan")
        told: dict[str, Any] = {
            "way": name,
            "pairs_a_cpu_second": row.rates,
            "times_trainer": round(ratio, 2),
            "cpu_s": row.cpu_s,
            "steps": row.steps,
        }
        distance = ""
        told["ndcg@10"] = round(float(row.per_query.mean()), 4)
        if first and row is not first:
            gain = row.per_query - first.per_query
            mean, low, high = interval(gain)
            told["over_trainer"] = [round(each, 4) for each in (mean, low, high)]
            distance = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
        rows.append(told)
        print(
            f"| {name} | {row.rate:,.0f} | {ratio:.1f} | {statistics.median(row.cpu_s):.0f} "
            f"| {told['ndcg@10']} | {distance} |"
        )
    return rows


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Hold the ratios, and that speed did not cost quality."""
    judged = []
    by_name = {row["way"]: row for row in rows}
    for way, other, least in RATIOS:
        if way in by_name and other in by_name:
            rates = [statistics.median(by_name[n]["pairs_a_cpu_second"]) for n in (way, other)]
            value = rates[0] / rates[1]
            judged.append(
                goal(f"{way}: times {other}", f">= {least:g}", value, holds=value >= least)
            )
    for way in ("full", "full, one pair a document"):
        distance = by_name.get(way, {}).get("over_trainer")
        if distance:
            name = f"{way}: held-out nDCG@10 over the Trainer's"
            judged.append(goal(name, "not below", distance[0], holds=distance[2] >= 0))
    return judged


def quick_ways() -> list[str]:
    """Name the ways that goals are about, and a few more, in their order."""
    meant = {name for way, other, _ in RATIOS for name in (way, other)} | set(QUICK)
    return [name for name in WAYS if name in meant]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="one round of fewer pairs")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--world", choices=("onet", "tldr"), default="onet")
    parser.add_argument(
        "--split", choices=("test", "dev"), default="test", help="dev is for choices"
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    parser.add_argument("--peer", action="store_true", help="build and run opensearch-py-ml")
    parser.add_argument("--peer-python", default="", help="python that has opensearch-py-ml")
    parser.add_argument("--cells", type=Path, default=CELLS, help="finished ones are kept here")
    parser.add_argument("--only", nargs="+", choices=list(WAYS), help="ways, all if left out")
    parser.add_argument("--pairs", type=int, help="pairs of each round")
    parser.add_argument("--rounds", type=int, help="rounds, each with a seed of its own")
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    if not at_hand(asked.data):
        return 0
    names = list(asked.only or (quick_ways() if asked.quick else WAYS))
    missing = {}
    with tempfile.TemporaryDirectory(prefix="desireline-fit-bench-") as name:
        scratch = Path(name)
        python = asked.peer_python or (peer_python(scratch / "peer") if asked.peer else "")
        if not python and "opensearch-py-ml" in names:
            names.remove("opensearch-py-ml")
            missing["opensearch-py-ml"] = "not asked for; --peer builds its environment"
        bench = Bench(
            world=asked.world,
            split=asked.split,
            data=asked.data,
            pairs=asked.pairs or (1_280 if asked.quick else 6_400),
            rounds=asked.rounds or (1 if asked.quick else 3),
            python=python,
            cells=Cells(asked.cells),
            scratch=scratch,
        )
        found = bench.measure(names)
    rows = table(found)
    for name, reason in missing.items():
        print(f"not run: {name}: {reason}")
    judged = goals(rows)
    return conclude("fit", judged, quick=asked.quick, file=asked.json, rows=rows, not_run=missing)


if __name__ == "__main__":
    sys.exit(main())
