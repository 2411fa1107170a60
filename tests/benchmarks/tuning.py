"""What tuning is worth: real documents, queries and answers; base, BM25, fusion, ways to tune.

    python tests/benchmarks/tuning.py [--quick] [--json FILE] [--cells FILE] [--picture FILE]

Every number is of held-out queries over all documents of a set. "true" learns from the right
answers of other queries; "clicks" from what the miners find in clicks that are SIMULATED on the
base encoder's answers. "plain" is sentence-transformers' Trainer by its documentation on the very
same pairs. Each cell (set, kind of pairs, way, seed) runs in a process of its own with one thread;
finished ones are kept in `--cells`, so that a killed run goes on. Our learning rate is the
default. Intervals are paired bootstrap intervals over queries,
whose values are the mean over the seeds. Processor seconds are those of training alone.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from resuming.cells import Cells
from training.child import run_apart
from training.gain_picture import Point, draw

HERE = Path(__file__).parent
DATA = HERE.parents[2] / "shared" / "data"
CELLS = HERE.parents[1] / ".cache" / "bench" / "tuning.jsonl"
WORLDS = ("onet", "tldr", "banking77")
KINDS = ("true", "clicks")
MEASURES = ("mrr@20", "recall@20", "ndcg@20", "mrr@10", "recall@10", "ndcg@10")
#: mRR@20 from true pairs that a first try reached.
FIRST_TRY = {"onet": 0.700, "tldr": 0.386, "banking77": 0.893}
#: Relative gain over the base that Finetuner published for text.
PUBLISHED = {"mrr@20": 0.158, "recall@20": 0.053}

#: Most pairs that ways learn from, drawn by the seed; all learn from the same ones.
PAIRS = 6_000
#: But these from more: what the same recipe reaches with the time that the pairs deserve.
MORE_PAIRS = {"full, 20,000 pairs": 20_000}
_OURS = {"passes": 2.0, "batch": 64, "learning_rate": 2e-4}
_TRIPLETS = {
    "loss": "metric_learning",
    "loss_settings": {
        "loss": "TripletMarginLoss",
        "options": {"margin": 0.3},
        "miner": "TripletMarginMiner",
        "miner_options": {"margin": 0.3, "type_of_triplets": "hard"},
    },
}
#: How each goes through them; ours is the default rate, and two passes.
WAYS: dict[str, dict[str, Any]] = {
    "full": _OURS,
    # Its documentation's training overview: batches of 16, one pass, 2e-5, a tenth of warm-up.
    "plain": {"passes": 1.0, "batch": 16, "learning_rate": 2e-5},
    "query": _OURS | {"options": {"mode": "query"}},
    "adapter": _OURS | {"options": {"mode": "adapter"}},
    "lora": _OURS | {"options": {"mode": "lora"}},
    "full, guided": _OURS | {"options": {"loss": "guided"}},
    "full, TripletMarginLoss, hard": _OURS | {"options": _TRIPLETS},
    "full, 20,000 pairs": _OURS,
    # Its own rate and schedule; one pass of batches of 32, its default.
    "opensearch-py-ml": {"passes": 1.0, "batch": 32, "learning_rate": 2e-5},
}
#: What a short run compares.
QUICK = ("full", "plain", "query", "adapter")
#: Who trains, where it is not ours.
OTHERS = {"plain": "plain", "opensearch-py-ml": "peer"}
Values = NDArray[np.float64]


class NotMeasuredError(Exception):
    """Only what is there was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One way on one set with one seed."""

    world: str
    kind: str
    way: str
    seed: int
    split: str = "test"

    @property
    def of(self) -> dict[str, Any]:
        """What decides its numbers."""
        drawn = {} if self.way in {"base", "bm25"} else {"kind": self.kind, "seed": self.seed}
        recipe = WAYS.get(self.way, {})
        return {"world": self.world, "way": self.way, "split": self.split, **drawn} | (
            {"most": self.most, **recipe} if recipe else {}
        )

    @property
    def most(self) -> int:
        """Most pairs that it learns from."""
        return MORE_PAIRS.get(self.way, PAIRS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where cells come from and what may still be measured."""

    data: Path
    cells: Cells
    scratch: Path
    until: float
    #: Python of an environment that holds opensearch-py-ml; without one it is left out.
    peer_python: str = ""

    def get(self, cell: Cell) -> dict[str, Any] | None:
        """Return what was found for a cell; None if there is no time left for it."""
        try:
            found: dict[str, Any] = self.cells.get(cell.of, partial(self._measure, cell))
        except NotMeasuredError:
            return None
        return found

    def _measure(self, cell: Cell) -> dict[str, Any]:
        who = OTHERS.get(cell.way, "ours")
        if time.monotonic() >= self.until or (who == "peer" and not self.peer_python):
            raise NotMeasuredError
        pairs = self.scratch / f"{cell.world}-{cell.kind}-{cell.seed}-{cell.most}"
        job = {
            "way": cell.way,
            "world": cell.world,
            "kind": cell.kind,
            "seed": cell.seed,
            "split": cell.split,
            "data": str(self.data),
            "pairs": str(pairs),
            "most": cell.most,
            "recipe": WAYS.get(cell.way),
            "recipe_of": who,
            "peer_python": self.peer_python,
        }
        if cell.way in WAYS and not pairs.exists():
            run_apart(job | {"way": "pairs"}, self.scratch)
        found = run_apart(job, self.scratch)
        print(f"{cell.world} {cell.kind} seed {cell.seed} {cell.way}: {_told(found)}", flush=True)
        return found


def _told(found: dict[str, Any]) -> str:
    means = " ".join(f"{name} {np.mean(found['values'][name]):.4f}" for name in MEASURES[:3])
    return f"{means}, {found['pairs']} pairs, {found['cpu_s']} CPU s"


def cells(worlds: list[str], kinds: list[str], ways: list[str], seeds: list[int]) -> Iterator[Cell]:
    """Give the cells, those first that say most."""
    for world in worlds:
        for way in ("base", "bm25"):
            yield Cell(world=world, kind="true", way=way, seed=0)
    for seed in seeds:
        for kind in kinds:
            for way in ways:
                for world in worlds:
                    yield Cell(world=world, kind=kind, way=way, seed=seed)


@dataclass(kw_only=True)
class Row:
    """A way on a set and kind of pairs, over its seeds."""

    world: str
    kind: str
    way: str
    seeds: int
    cpu_s: float
    pairs: float
    values: dict[str, Values]
    by_seed: list[float]


def rows(bench: Bench, asked: list[Cell]) -> list[Row]:
    """Measure what there is time for and put the seeds together."""
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for cell in asked:
        one = bench.get(cell)
        if one is None:
            continue
        kind = "" if cell.way in {"base", "bm25"} else cell.kind
        found.setdefault((cell.world, kind, cell.way), []).append(one)
        if cell.way in {"base", "full"}:
            fused = one | {"values": one["with_bm25"]}
            found.setdefault((cell.world, kind, f"{cell.way} + BM25"), []).append(fused)
    return [_row(*key, some) for key, some in found.items()]


def _row(world: str, kind: str, way: str, some: list[dict[str, Any]]) -> Row:
    values = {name: np.mean([one["values"][name] for one in some], axis=0) for name in MEASURES}
    return Row(
        world=world,
        kind=kind,
        way=way,
        seeds=len(some),
        cpu_s=float(np.mean([one["cpu_s"] for one in some])),
        pairs=float(np.mean([one["pairs"] for one in some])),
        values=values,
        by_seed=[round(float(np.mean(one["values"]["mrr@20"])), 4) for one in some],
    )


def interval(gain: Values) -> tuple[float, float]:
    """Bootstrap the mean over queries."""
    draws = np.random.default_rng(0).integers(0, len(gain), (1_000, len(gain)))
    low, high = np.quantile(gain[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def find(table: list[Row], world: str, kind: str, way: str) -> Row | None:
    """Return a row if it was measured."""
    return next((r for r in table if (r.world, r.kind, r.way) == (world, kind, way)), None)


def report(table: list[Row]) -> list[dict[str, Any]]:
    """Print each row with its distance to the base and to the plain recipe."""
    told = []
    print(
        "| set | pairs | way | seeds | mRR@20 | Recall@20 | nDCG@20 | mRR@10 | Recall@10 "
        "| nDCG@10 | over base, mRR@20 [95 %] | over plain | CPU s |"
    )
    for row in table:
        base = find(table, row.world, "", "base")
        plain = find(table, row.world, row.kind, "plain")
        means = {name: round(float(row.values[name].mean()), 4) for name in MEASURES}
        over_base = _distance(row, base)
        over_plain = _distance(row, plain)
        print(
            f"| {row.world} | {row.kind or '-'} | {row.way} | {row.seeds} | "
            + " | ".join(f"{mean:.3f}" for mean in means.values())
            + f" | {_shown(over_base)} | {_shown(over_plain)} | {row.cpu_s:.0f} |"
        )
        told.append(
            {
                "world": row.world,
                "kind": row.kind,
                "way": row.way,
                "seeds": row.seeds,
                "by_seed": row.by_seed,
                "cpu_s": round(row.cpu_s, 1),
                "pairs": row.pairs,
                **means,
                "over_base": over_base,
                "over_plain": over_plain,
            }
        )
    return told


def _distance(row: Row, other: Row | None) -> list[float] | None:
    """Return mean, low and high of the difference in mRR@20."""
    if other is None or other.way == row.way:
        return None
    gain = row.values["mrr@20"] - other.values["mrr@20"]
    return [round(float(gain.mean()), 4), *(round(bound, 4) for bound in interval(gain))]


def _shown(distance: list[float] | None) -> str:
    if distance is None:
        return ""
    mean, low, high = distance
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"


def goals(table: list[Row]) -> list[dict[str, Any]]:
    """Hold the goals of docs/results.md against what was measured."""
    judged = []
    for row in (row for row in table if row.way == "full"):
        name = f"{row.world}, {row.kind}"
        plain = _distance(row, find(table, row.world, row.kind, "plain"))
        if plain:
            better = plain[0] >= 0 or plain[2] >= 0
            judged.append(
                _goal(f"{name}: mRR@20 over the plain recipe", "no loss", plain[0], better)
            )
        base = find(table, row.world, "", "base")
        if base:
            for measure, share in PUBLISHED.items():
                before = float(base.values[measure].mean())
                value = float(row.values[measure].mean()) / before - 1
                holds = value >= share or before * (1 + share) > 1
                text = f">= {share:.3f}, or no room"
                judged.append(_goal(f"{name}: relative gain in {measure}", text, value, holds))
        if row.kind == "true":
            value, least = float(row.values["mrr@20"].mean()), FIRST_TRY[row.world]
            judged.append(_goal(f"{name}: mRR@20", f">= {least}", value, round(value, 3) >= least))
    return judged


def _goal(name: str, goal: str, value: float, holds: bool) -> dict[str, Any]:
    return {"name": name, "goal": goal, "value": round(value, 4), "holds": bool(holds)}


def picture(table: list[Row]) -> str:
    """Draw the gain in mRR@20 over the base against the processor seconds of training."""
    points = []
    for row in table:
        base = find(table, row.world, "", "base")
        if base is not None and row.cpu_s > 0 and "BM25" not in row.way:
            gain = row.values["mrr@20"] - base.values["mrr@20"]
            low, high = interval(gain)
            points.append(
                Point(
                    chart=f"{row.world}, {'true pairs' if row.kind == 'true' else row.kind}",
                    name=row.way,
                    cpu_s=row.cpu_s,
                    gain=float(gain.mean()),
                    low=low,
                    high=high,
                )
            )
    return draw(points)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="onet, true pairs, one seed, few ways")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--cells", type=Path, default=CELLS, help="finished cells are kept here")
    parser.add_argument("--picture", type=Path, help="file for the picture (svg)")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    parser.add_argument("--only", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--peer-python", default="", help="python that has opensearch-py-ml")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no cell after these")
    asked = parser.parse_args()
    if not asked.data.exists():
        print(f"the data sets are not in {asked.data}; nothing was measured")
        return 0
    asked.cells.parent.mkdir(parents=True, exist_ok=True)
    wanted = (
        list(cells(["onet"], ["true"], [way for way in asked.ways if way in QUICK], [0]))
        if asked.quick
        else list(cells(asked.only, asked.kinds, asked.ways, asked.seeds))
    )
    with tempfile.TemporaryDirectory(prefix="desireline-tuning-") as scratch:
        bench = Bench(
            data=asked.data,
            cells=Cells(asked.cells),
            scratch=Path(scratch),
            until=time.monotonic() + 60 * asked.minutes,
            peer_python=asked.peer_python,
        )
        table = rows(bench, wanted)
    told = report(table)
    judged = goals(table)
    for goal in judged:
        holds = "holds" if goal["holds"] else "MISSED"
        print(f"{holds:7} {goal['name']}: {goal['value']} (goal {goal['goal']})")
    if asked.picture:
        asked.picture.write_text(picture(table), encoding="utf-8")
    if asked.json:
        machine = {"cores": os.cpu_count(), "load": os.getloadavg(), "quick": asked.quick}
        content = {"benchmark": "tuning", "machine": machine, "rows": told, "goals": judged}
        asked.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0 if all(goal["holds"] for goal in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
