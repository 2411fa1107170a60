"""What an encoder forgets when it is tuned on one index, and what keeps it from that.

    python tests/benchmarks/forgetting.py [--quick] [--json FILE] [--cells FILE]

Tuned on right answers of O*NET (job titles). Then asked held-out queries of its own, and those of
two worlds that no training saw and no choice was made by: tldr (tasks for command lines) and
banking77 (customers' questions). Ways: plain; replay of the general texts that ship; a share of
the tuned weights by the search on two suites (WiSE-FT); both.
Each cell runs in a process of its own with one thread and is kept in `--cells`.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from goals.held import conclude, goal
from mining.worlds import DATA, at_hand
from nights.table import Bench, Row, shown
from resuming.cells import Cells

HERE = Path(__file__).parent
CELLS = HERE.parents[1] / ".cache" / "bench" / "forgetting.jsonl"
#: Most that off-domain queries may lose by nDCG@10: the gate's `general_tolerance`.
TOLERANCE = 0.02
#: Worlds that nothing learns from and nothing chooses by.
OFF_DOMAIN = ("tldr", "banking77")
PAIRS = 1_500
_SHARES = [1.0, 0.8, 0.6, 0.4]
WAYS: dict[str, dict[str, Any]] = {
    "base": {},
    "bm25": {},
    "plain": {},
    "replay": {"replay": 0.5, "replay_weight": 3.0},
    "share": {"tuned_shares": _SHARES},
    "replay + share": {"replay": 0.5, "replay_weight": 3.0, "tuned_shares": _SHARES},
}


def job_of(way: str, seed: int, split: str) -> dict[str, Any]:
    """Say what decides a cell's numbers."""
    fit = {"mode": "full", "epochs": 1.0, "max_steps": 1_000, "pairs_a_document": 1, **WAYS[way]}
    return {
        "night": "forgetting",
        "way": way,
        "world": "onet",
        "seed": seed,
        "split": split,
        "fit": fit if way not in {"base", "bm25"} else {},
        "most": PAIRS,
    }


def rows(bench: Bench, asked: argparse.Namespace) -> list[Row]:
    """Measure what there is time for."""
    found: dict[str, dict[int, Any]] = {}
    for seed in asked.seeds:
        for way in asked.ways:
            untrained = way in {"base", "bm25"}
            one = bench.get(job_of(way, 0 if untrained else seed, asked.split))
            if one is not None:
                found.setdefault(way, {})[0 if untrained else seed] = one
    return [Row.of(way, some) for way, some in found.items()]


def worst(row: Row, base: Row) -> tuple[float, str]:
    """Return the greatest loss of nDCG@10 of any seed on any off-domain world."""
    before = base.by_seed[0]
    return min((of[part] - before[part], part) for of in row.by_seed for part in OFF_DOMAIN)


def report(table: list[Row]) -> list[dict[str, Any]]:
    """Print what was gained at home, and lost elsewhere."""
    base = next((row for row in table if row.way == "base"), None)
    if base is None:
        return []
    told = []
    parts = list(base.values)
    print(
        "| way | seeds | own mRR@20 | " + " | ".join(f"{p}, nDCG@10" for p in parts) + " | CPU s |"
    )
    for row in table:
        gains = {part: row.gain(base, part, "ndcg@10") for part in parts}
        shows = [
            f"{np.mean(row.values[part]['ndcg@10']):.3f}"
            + (f" {shown(gains[part])}" if row is not base else "")
            for part in parts
        ]
        own = float(np.mean(row.values["own"]["mrr@20"]))
        seeds = ", ".join(map(str, row.seeds))
        print(f"| {row.way} | {seeds} | {own:.3f} | " + " | ".join(shows) + f" | {row.cpu_s:.0f} |")
        told.append(
            {
                "way": row.way,
                "seeds": row.seeds,
                "own mrr@20": round(own, 4),
                "gain": {part: [round(each, 4) for each in gain] for part, gain in gains.items()},
                "by_seed": row.by_seed,
                "told": row.told,
                "cpu_s": row.cpu_s,
            }
        )
    return told


def goals(table: list[Row]) -> list[dict[str, Any]]:
    """Off-domain queries must not fall by more than the gate lets pass, whatever the seed."""
    base = next((row for row in table if row.way == "base"), None)
    judged = []
    for row in table:
        if base is None or row.way in {"base", "bm25", "plain"}:
            continue
        lost, part = worst(row, base)
        text = f"no seed loses more than {TOLERANCE} of nDCG@10 on tldr or banking77"
        judged.append(goal(f"{row.way} ({part})", text, lost, holds=lost >= -TOLERANCE))
        own = row.gain(base, "own", "mrr@20")
        judged.append(goal(f"{row.way}: own mRR@20", "a proven gain", own[0], holds=own[1] > 0))
    return judged


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--cells", type=Path, default=CELLS, help="finished cells are kept here")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--split", choices=("dev", "test"), default="test")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no cell after these")
    asked = parser.parse_args()
    if not at_hand(asked.data):
        return 0
    if asked.quick:
        asked.seeds = [0]
    with tempfile.TemporaryDirectory(prefix="desireline-forgetting-") as scratch:
        bench = Bench(
            data=asked.data,
            cells=Cells(asked.cells),
            scratch=Path(scratch),
            until=time.monotonic() + 60 * asked.minutes,
        )
        table = rows(bench, asked)
    told, judged = report(table), goals(table)
    return conclude("forgetting", judged, quick=asked.quick, file=asked.json, rows=told)


if __name__ == "__main__":
    sys.exit(main())
