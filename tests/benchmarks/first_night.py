"""What an encoder can learn on the first night, before anybody clicked.

    python tests/benchmarks/first_night.py [--quick] [--json FILE] [--cells FILE]

A tenth of the documents is held out; the texts of the others teach, by an objective alone, by
their pairs (title with text, pieces of titles) or by both in turn. Judged by real held-out queries
over all documents, never clicks; and, as the gate would on that night, by pieces of the titles of
documents held out and by the general suite. Every way has the product's defaults, but the pairs
have half as many steps. Each cell runs in a process of its own with one thread and is kept in
`--cells`.
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
from nights.table import UNTRAINED, Bench, Row, shown
from resuming.cells import Cells

HERE = Path(__file__).parent
CELLS = HERE.parents[1] / ".cache" / "bench" / "first_night.jsonl"
OBJECTIVES = ("tsdae", "simcse", "mlm")
WAYS = (
    *UNTRAINED,
    "fields",
    *OBJECTIVES,
    *(f"{objective} + fields" for objective in OBJECTIVES),
)
#: Of the pairs' training; the product has 60.
STEPS = 30
#: Of the gate: the least gain on pieces of titles, and the most that a part of the suite may lose.
MARGIN, TOLERANCE = 0.01, 0.02


def job_of(way: str, world: str, seed: int, split: str) -> dict[str, Any]:
    """Say what decides a cell's numbers."""
    objective = way.split(" + ", maxsplit=1)[0]
    fit: dict[str, Any] = {"max_steps": STEPS, "mode": "full"}
    if objective in OBJECTIVES:
        fit["self_supervised"] = {"objective": objective}
    return {
        "night": "first",
        "way": way,
        "world": world,
        "seed": seed,
        "split": split,
        "fit": fit,
        "pairs": way.endswith("fields"),
    }


def rows(bench: Bench, world: str, asked: argparse.Namespace) -> list[Row]:
    """Measure what there is time for."""
    found: dict[str, dict[int, Any]] = {}
    for seed in asked.seeds:
        for way in asked.ways:
            # What the gate asks depends on the seed, so the base answers for each.
            one = bench.get(job_of(way, world, seed, asked.split))
            if one is not None:
                found.setdefault(way, {})[seed] = one
    return [Row.of(way, some) for way, some in found.items()]


def verdict(row: Row, base: Row) -> str:
    """Say what the gate would say on that night, by what is measured here."""
    gain = row.gain(base, "titles", "ndcg@10")
    if gain[1] <= MARGIN:
        return f"refused: titles {shown(gain)}"
    for part in (part for part in row.values if part.startswith("suite")):
        lost = row.gain(base, part, "ndcg@10")[0]
        if lost < -TOLERANCE:
            return f"refused: {part} {lost:+.3f}"
    return f"passed: titles {shown(gain)}"


def report(world: str, table: list[Row]) -> list[dict[str, Any]]:
    """Print each way beside base and BM25."""
    base = next((row for row in table if row.way == "base"), None)
    if base is None:
        return []
    told = []
    print("| set | way | seeds | mRR@20 | nDCG@10 | over base, mRR@20 [95 %] | gate | CPU s |")
    for row in table:
        over = row.gain(base, "own", "mrr@20")
        trained = row.way not in UNTRAINED
        mrr, ndcg = (float(np.mean(row.values["own"][name])) for name in ("mrr@20", "ndcg@10"))
        said = verdict(row, base) if trained else ""
        print(
            f"| {world} | {row.way} | {', '.join(map(str, row.seeds))} | {mrr:.3f} | {ndcg:.3f} |"
            f" {shown(over) if row is not base else ''} | {said} | {row.cpu_s:.0f} |"
        )
        told.append(
            {
                "world": world,
                "way": row.way,
                "seeds": row.seeds,
                "mrr@20": round(mrr, 4),
                "ndcg@10": round(ndcg, 4),
                "over_base": [round(each, 4) for each in over],
                "gate": said,
                "by_seed": row.by_seed,
                "told": row.told,
                "cpu_s": row.cpu_s,
            }
        )
    return told


def goals(world: str, table: list[Row]) -> list[dict[str, Any]]:
    """A way that the gate passes must not have made real queries worse."""
    base = next((row for row in table if row.way == "base"), None)
    judged = []
    for row in table:
        if base is None or row.way in UNTRAINED:
            continue
        over = row.gain(base, "own", "mrr@20")
        refused = verdict(row, base).startswith("refused")
        text = "refused by the gate, or no proven loss on real queries"
        judged.append(goal(f"{world}: {row.way}", text, over[0], holds=refused or over[2] >= 0))
    return judged


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="onet, one seed")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--cells", type=Path, default=CELLS, help="finished cells are kept here")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    parser.add_argument("--only", nargs="+", choices=("onet", "tldr"), default=["onet", "tldr"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--split", choices=("dev", "test"), default="test")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no cell after these")
    asked = parser.parse_args()
    if not at_hand(asked.data):
        return 0
    if asked.quick:
        asked.only, asked.seeds = ["onet"], [0]
    told, judged = [], []
    with tempfile.TemporaryDirectory(prefix="desireline-first-night-") as scratch:
        bench = Bench(
            data=asked.data,
            cells=Cells(asked.cells),
            scratch=Path(scratch),
            until=time.monotonic() + 60 * asked.minutes,
        )
        for world in asked.only:
            table = rows(bench, world, asked)
            told += report(world, table)
            judged += goals(world, table)
    return conclude("first_night", judged, quick=asked.quick, file=asked.json, rows=told)


if __name__ == "__main__":
    sys.exit(main())
