"""What a compact encoder keeps of a large one's quality, and how much faster it encodes.

    python tests/benchmarks/small.py [--quick] [--json FILE] [--cells FILE] [--only WORLD ...]

The large encoder is MiniLM tuned by mode `full` on true pairs of other queries, which teaches the
compact ones; all learn from the same pairs. Numbers are nDCG@10 of held-out queries over all
documents, intervals are paired bootstrap intervals over queries of the share that is kept. A query
is of the long tail if it holds a word that no query of training holds. Rates are texts a processor
second of the exported encoders on one thread, the same texts in turns, so that a busy machine
slows all alike. Each encoder is made in a process of its own; finished ones are kept beside
`--cells`, so that a killed run goes on.
"""

import argparse
import math
import statistics
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from apart.child import run_apart
from goals.held import conclude, goal
from mining.worlds import DATA, World, at_hand, load
from numpy.typing import NDArray
from resuming.cells import Cells
from training.lessons_of import drawn, true_pairs

from desireline.trainer.encoders.onnx import OnnxEncoder

HERE = Path(__file__).parent
PROGRAM = HERE / "compact" / "one_encoder.py"
CELLS = HERE.parents[1] / ".cache" / "bench" / "small.jsonl"
WORLDS = ("onet", "tldr")
#: Pairs that all learn from, drawn by the seed, as in tuning.py.
PAIRS = 6_000
LARGE = {"passes": 2.0, "batch": 64, "learning_rate": 2e-4}
STATIC = {"kind": "static"}
DEEP = {"kind": "transformer"}
WAYS: dict[str, dict[str, Any]] = {
    "base": {},
    "large": LARGE,
    "static": STATIC,
    "static, taught by the base": STATIC | {"teacher": "base"},
    "static, no teacher": STATIC | {"teacher": "none"},
    "static, words of the base, untrained": STATIC | {"teacher": "base", "untrained": True},
    "transformer": DEEP,
    "transformer, no teacher": DEEP | {"teacher": "none"},
    "transformer, no teacher, no pre-training": DEEP | {"teacher": "none", "passes": 0},
}
#: Those that learn the categories of queries, too, and their likes that do not; see joint.py.
JOINT = {
    "static, taught by the base, joint": "static, taught by the base",
    "static, no teacher, joint": "static, no teacher",
    "static, joint": "static",
    "transformer, joint": "transformer",
}
RECIPES = WAYS | {way: WAYS[like] | {"intent_weight": 0.3} for way, like in JOINT.items()}
#: What a quick run leaves out takes minutes of a processor each.
QUICK = [way for way in WAYS if not way.startswith("transformer")]
#: The way that makes each teacher.
TEACHERS = {"full": "large", "base": "base"}
KEPT, FASTER, STATIC_FASTER = 0.95, 5.0, 100.0
_TURNS, _TEXTS = 5, 200
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where encoders come from."""

    data: Path
    cells: Cells
    folder: Path
    split: str

    def get(self, world: str, way: str, seed: int) -> dict[str, Any]:
        """Return what was found for one encoder, and where it lies."""
        of = {"world": world, "way": way, "seed": seed, "most": PAIRS, "recipe": RECIPES[way]}
        place = self._place(world, way, seed)
        if way not in {"base", "large"}:
            teacher = RECIPES[way].get("teacher", "full")
            if teacher in TEACHERS:
                self.get(world, TEACHERS[teacher], seed)
        found: dict[str, Any] = self.cells.get(
            of | {"split": self.split}, partial(self._measure, of, place)
        )
        if not math.isfinite(found["cpu_s"]):
            raise SystemExit(f"{self.folder}.jsonl has no cost of {of}: remove that line")
        return found | {"folder": str(place)}

    def _place(self, world: str, way: str, seed: int) -> Path:
        name = "".join(letter if letter.isalnum() else "-" for letter in way)
        return self.folder / f"{world}-{seed}" / name

    def _measure(self, of: dict[str, Any], place: Path) -> dict[str, Any]:
        world, seed = of["world"], of["seed"]
        teachers = {name: str(self._place(world, way, seed)) for name, way in TEACHERS.items()}
        place.parent.mkdir(parents=True, exist_ok=True)
        asked = of | {"split": self.split, "data": str(self.data), "folder": str(place)}
        found = run_apart(PROGRAM, asked | {"teachers": teachers}, place.parent)
        mean = statistics.mean(found["values"])
        print(
            f"{world} seed {seed} {of['way']}: nDCG@10 {mean:.4f}, {found['cpu_s']} CPU s",
            flush=True,
        )
        return {name: value for name, value in found.items() if name != "folder"}


@dataclass(kw_only=True)
class Row:
    """A way on a set, over its seeds."""

    world: str
    way: str
    parameters: int
    cpu_s: float
    #: nDCG@10 by query, the mean over the seeds.
    values: Values
    by_seed: list[float]
    #: Texts a processor second of queries and of documents, relative to the large one's.
    faster: tuple[float, float] = (1.0, 1.0)


def rows_of(bench: Bench, name: str, ways: list[str], seeds: list[int]) -> list[Row]:
    """Make every encoder of a set, and let the first seed's encode in turns."""
    world = load(name, bench.data)
    found = {way: [bench.get(name, way, seed) for seed in seeds] for way in ways}
    rates = encode_in_turns(world, {way: some[0]["folder"] for way, some in found.items()})
    rows = []
    for way, some in found.items():
        values = np.array([one["values"] for one in some])
        queries, documents = (
            rates[way][role] / rates["large"][role] for role in ("queries", "documents")
        )
        rows.append(
            Row(
                world=name,
                way=way,
                parameters=some[0]["parameters"],
                cpu_s=float(np.mean([one["cpu_s"] for one in some])),
                values=values.mean(axis=0),
                by_seed=[round(float(mean), 4) for mean in values.mean(axis=1)],
                faster=(queries, documents),
            )
        )
    return rows


def encode_in_turns(world: World, folders: dict[str, str]) -> dict[str, dict[str, float]]:
    """Return texts a processor second by way and role: the median of the turns."""
    draw = np.random.default_rng(0)
    queries = [str(each) for each in draw.choice(sorted(world.test), _TEXTS)]
    texts = [each.text for each in world.documents.values()]
    documents = [texts[row] for row in draw.choice(len(texts), _TEXTS)]
    encoders = {way: OnnxEncoder(Path(folder), threads=1) for way, folder in folders.items()}
    took: dict[str, dict[str, list[float]]] = {
        way: {"queries": [], "documents": []} for way in encoders
    }
    for turn in range(_TURNS + 1):
        for way, encoder in encoders.items():
            began = time.process_time()
            for query in queries:
                encoder.encode_queries([query])
            half = time.process_time()
            encoder.encode_documents(documents)
            if turn:  # the first one warms up
                took[way]["queries"].append(half - began)
                took[way]["documents"].append(time.process_time() - half)
    return {
        way: {role: _TEXTS / statistics.median(some) for role, some in roles.items()}
        for way, roles in took.items()
    }


def kept(row: Row, large: Row, rows: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return the share of the large one's mean that is kept, with its bootstrap interval."""
    ours, theirs = row.values[rows], large.values[rows]
    draws = np.random.default_rng(0).integers(0, len(ours), (2_000, len(ours)))
    low, high = np.quantile(ours[draws].mean(axis=1) / theirs[draws].mean(axis=1), [0.025, 0.975])
    return float(ours.mean() / theirs.mean()), float(low), float(high)


def long_tail(world: World, split: str, seeds: list[int]) -> NDArray[np.bool_]:
    """Say which held-out queries, in their order, hold a word that no query of training holds."""
    pairs = [pair for seed in seeds for pair in drawn(true_pairs(world), PAIRS, seed=seed).pairs]
    known = {word for pair in pairs for word in pair.anchor.split()}
    asked = sorted(world.dev if split == "dev" else world.test)
    rare = [sum(word not in known for word in query.split()) for query in asked]
    return np.array([count > 0 for count in rare], dtype=np.bool_)


def report(rows: list[Row], tail: NDArray[np.bool_]) -> tuple[list[dict[str, Any]], list[Any]]:
    """Print the rows of a set; return them and the goals."""
    large = next(row for row in rows if row.way == "large")
    everything = np.ones(len(large.values), dtype=np.bool_)
    told, goals = [], []
    for row in rows:
        whole, rare = kept(row, large, everything), kept(row, large, tail)
        print(
            f"| {row.world} | {row.way} | {row.parameters / 1e6:.1f} | {row.values.mean():.3f} |"
            f" {_shown(whole)} | {row.values[tail].mean():.3f} | {_shown(rare)} |"
            f" {row.faster[0]:.1f} | {row.faster[1]:.1f} | {row.cpu_s:.0f} |"
        )
        told.append(
            {
                "world": row.world,
                "way": row.way,
                "parameters": row.parameters,
                "ndcg@10": round(float(row.values.mean()), 4),
                "by_seed": row.by_seed,
                "kept": whole,
                "long_tail": round(float(row.values[tail].mean()), 4),
                "long_tail_kept": rare,
                "queries_faster": row.faster[0],
                "documents_faster": row.faster[1],
                "cpu_s": row.cpu_s,
            }
        )
        if row.way in {"static", "transformer"}:
            goals += _goals(row, whole[0])
    print(f"{int(tail.sum())} of {len(tail)} queries are of the long tail", flush=True)
    return told, goals


def _goals(row: Row, share: float) -> list[dict[str, Any]]:
    name, slower = f"{row.world}, {row.way}", min(row.faster)
    found = [
        _at_least(f"{name}: share of the large one's nDCG@10", KEPT, share),
        _at_least(f"{name}: times its encode rate", FASTER, slower),
        _at_least(f"{name}: parameters below 11 M", 1, float(row.parameters < 11_000_000)),
    ]
    if row.way == "static":
        text = f"{name}: times its encode rate, documents"
        found.append(_at_least(text, STATIC_FASTER, row.faster[1]))
    return found


def _at_least(name: str, least: float, value: float) -> dict[str, Any]:
    return goal(name, f">= {least:g}", value, holds=value >= least)


def _shown(share: tuple[float, float, float]) -> str:
    return f"{share[0]:.1%} [{share[1]:.1%}, {share[2]:.1%}]"


def main() -> int:
    """Make, measure, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="onet, one seed, static kinds only")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--cells", type=Path, default=CELLS, help="finished cells are kept here")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    parser.add_argument("--only", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--split", choices=("dev", "test"), default="test", help="dev for choices")
    asked = parser.parse_args()
    if not at_hand(asked.data):
        return 0
    bench = Bench(
        data=asked.data,
        cells=Cells(asked.cells),
        folder=asked.cells.with_suffix(""),
        split=asked.split,
    )
    ways = list(dict.fromkeys(["base", "large", *(QUICK if asked.quick else asked.ways)]))
    told, judged = [], []
    for name in ["onet"] if asked.quick else asked.only:
        seeds = [0] if asked.quick else asked.seeds
        rows = rows_of(bench, name, ways, seeds)
        print(
            "| set | encoder | M parameters | nDCG@10 | of the large one's [95 %] | long tail |"
            " of the large one's [95 %] | queries, times as fast | documents | CPU s |"
        )
        lines, goals = report(rows, long_tail(load(name, asked.data), asked.split, seeds))
        told += lines
        judged += goals
    return conclude("small", judged, quick=asked.quick, file=asked.json, rows=told)


if __name__ == "__main__":
    sys.exit(main())
