"""What tuning is worth: real documents, queries and answers; base, BM25, fusion, ways to tune.

    python tests/benchmarks/tuning.py [--quick] [--json FILE] [--cells FILE] [--page FILE]

Every number is of held-out queries over all documents of a set. "true" learns from the right
answers of other queries; "clicks" from what the miners find in clicks that are SIMULATED on the
base encoder's answers. "plain" is sentence-transformers' Trainer by its documentation on the very
same 6,000 pairs that most ways share; "all pairs" are all that the set has. Each cell (set, kind
of pairs, way, seed) runs in a process of its own with one thread, as many at once as there are
cores; finished ones are kept in `--cells`, so that a killed run goes on. A full run writes
docs/tuning.md and its picture, another one only the page that is named. Our learning rate is the
default. Intervals are paired bootstrap intervals over queries,
whose values are the mean over the seeds. Processor seconds are those of training alone, from the
pairs to the trained folder. The vectors of documents, and an adapter's of queries, are found, as in
a cycle, which encodes both for its features before it trains; making them is not counted. (Where
the encoder that serves is an adapter already, a cycle encodes the anchors again, by the base.)
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from apart.child import run_apart
from goals.held import conclude
from mining.worlds import DATA, at_hand
from resuming.cells import Cells
from training.gain_page import KINDS, WORLDS, page
from training.gains import MEASURES, Row, goals, picture, put_together, report

HERE = Path(__file__).parent
PROGRAM = HERE / "training" / "one_way.py"
CELLS = HERE.parents[1] / ".cache" / "bench" / "tuning.jsonl"
PAGE = HERE.parents[1] / "docs" / "tuning.md"
SEEDS = (0, 1, 2)

#: Most pairs that ways learn from, drawn by the seed; all learn from the same ones.
PAIRS = 6_000
#: But these from all that there are, as a night does.
ALL_PAIRS = ("full, all pairs", "adapter, all pairs")
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
_ADAPTER = _OURS | {"options": {"mode": "adapter"}, "vectors": "found"}
#: How each goes through them; ours is the default rate, and two passes.
WAYS: dict[str, dict[str, Any]] = {
    "full": _OURS,
    # Its documentation's training overview: batches of 16, one pass, 2e-5, a tenth of warm-up.
    "plain": {"passes": 1.0, "batch": 16, "learning_rate": 2e-5},
    "query": _OURS | {"options": {"mode": "query"}},
    "adapter": _ADAPTER,
    "lora": _OURS | {"options": {"mode": "lora"}},
    "full, guided": _OURS | {"options": {"loss": "guided"}},
    "full, TripletMarginLoss, hard": _OURS | {"options": _TRIPLETS},
    "full, all pairs": _OURS,
    "adapter, all pairs": _ADAPTER,
    # Its own rate and schedule; one pass of batches of 32, its default.
    "opensearch-py-ml": {"passes": 1.0, "batch": 32, "learning_rate": 2e-5},
}
#: What a short run compares.
QUICK = ("full", "plain", "query", "adapter", *ALL_PAIRS)
#: Who trains, where it is not ours.
OTHERS = {"plain": "plain", "opensearch-py-ml": "peer"}


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
        return sys.maxsize if self.way in ALL_PAIRS else PAIRS


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where cells come from and what may still be measured."""

    data: Path
    cells: Cells
    scratch: Path
    until: float
    #: Python of an environment that holds opensearch-py-ml; without one it is left out.
    peer_python: str = ""
    #: Held while the pairs of that name are drawn, which several cells may want.
    drawing: dict[str, Lock] = field(default_factory=lambda: defaultdict(Lock))

    def measure(self, cells: Sequence[Cell], *, at_once: int) -> None:
        """Measure what there is time for, some at once, in their order."""
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(self.get, cells))

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
        name = f"{cell.world}-{cell.kind}-{cell.seed}-{cell.most}"
        pairs = self.scratch / name
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
        with self.drawing[name]:
            if cell.way in WAYS and not pairs.exists():
                run_apart(PROGRAM, job | {"way": "pairs"}, self.scratch)
        found = run_apart(PROGRAM, job, self.scratch)
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


def rows(bench: Bench, asked: list[Cell]) -> list[Row]:
    """Put together the seeds of what was measured, or is now."""
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
    return [put_together(*key, some) for key, some in found.items()]


def unmeasured(bench: Bench, asked: Sequence[Cell]) -> list[str]:
    """Name what was asked for and not found, sets and seeds of a way together."""
    left: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for cell in asked:
        if cell.of not in bench.cells:
            left[f"{KINDS[cell.kind]}, {cell.way}"][WORLDS[cell.world]].append(str(cell.seed))
    return [
        f"{name}: " + "; ".join(f"{world}, seeds {' '.join(each)}" for world, each in seeds.items())
        for name, seeds in left.items()
    ]


def circumstances() -> dict[str, str]:
    """Say with what it was measured, and when the page was written."""
    return {
        "written": f"{datetime.now(UTC):%Y-%m-%d}",
        "desireline": version("desireline"),
        "torch": version("torch"),
        "sentence-transformers": version("sentence-transformers"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="onet, true pairs, one seed, few ways")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--cells", type=Path, default=CELLS, help="finished cells are kept here")
    parser.add_argument("--page", type=Path, help="file for the page; its picture lies beside it")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    parser.add_argument("--only", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--peer-python", default="", help="python that has opensearch-py-ml")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="cells at once")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no cell after these")
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    if not at_hand(asked.data):
        return 0
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
        bench.measure(wanted, at_once=asked.at_once)
        table = rows(bench, wanted)
    told, judged = report(table), goals(table)
    whole = set(cells(list(WORLDS), list(KINDS), list(WAYS), list(SEEDS)))
    written = asked.page or (PAGE if whole <= set(wanted) else None)
    plot = written.with_suffix(".svg") if written else None
    left = unmeasured(bench, wanted)
    text = page(told, judged, left, circumstances(), picture=plot.name if plot else "tuning.svg")
    print(text)
    if written and plot:
        written.write_text(text, encoding="utf-8")
        plot.write_text(picture(table), encoding="utf-8")
    return conclude("tuning", judged, quick=asked.quick, file=asked.json, rows=told, left=left)


if __name__ == "__main__":
    sys.exit(main())
