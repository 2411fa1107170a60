"""Cells of a night's benchmark: measured apart, kept, put together over seeds, told."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from apart.child import run_apart
from goals.interval import Values, interval
from resuming.cells import Cells

PROGRAM = Path(__file__).parent / "one_way.py"
MEASURES = ("mrr@20", "ndcg@10", "recall@20")
#: They learn nothing, so that one seed is all.
UNTRAINED = ("base", "bm25")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where cells come from, and until when another may begin."""

    data: Path
    cells: Cells
    scratch: Path
    until: float

    def get(self, job: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what was found; None where nothing is kept and no time is left."""
        if job not in self.cells and time.monotonic() >= self.until:
            return None
        found: dict[str, Any] = self.cells.get(job, partial(self._measure, job))
        return found

    def _measure(self, job: Mapping[str, Any]) -> dict[str, Any]:
        found = run_apart(PROGRAM, {**job, "data": str(self.data)}, self.scratch)
        means = " ".join(f"{p} {np.mean(v['mrr@20']):.4f}" for p, v in found["values"].items())
        print(f"{job['world']} seed {job['seed']} {job['way']}: {means}", flush=True)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A way over its seeds: each measure of each query by part, the mean over the seeds."""

    way: str
    seeds: tuple[int, ...]
    cpu_s: float
    values: Mapping[str, Mapping[str, Values]]
    #: By seed, then part: mean nDCG@10.
    by_seed: Sequence[Mapping[str, float]]
    told: tuple[str, ...]

    @classmethod
    def of(cls, way: str, found: Mapping[int, Mapping[str, Any]]) -> "Row":
        """Put seeds together; where a part's queries depend on the seed they stand in a row."""
        parts = next(iter(found.values()))["values"]
        return cls(
            way=way,
            seeds=tuple(found),
            cpu_s=float(np.mean([one["cpu_s"] for one in found.values()])),
            values={
                part: {
                    measure: _together([one["values"][part][measure] for one in found.values()])
                    for measure in MEASURES
                }
                for part in parts
            },
            by_seed=[
                {part: float(np.mean(one["values"][part]["ndcg@10"])) for part in parts}
                for one in found.values()
            ],
            told=tuple(str(one.get("told", "")) for one in found.values()),
        )

    def gain(self, base: "Row", part: str, measure: str) -> tuple[float, float, float]:
        """Return mean, low and high of the paired difference to the base."""
        after, before = self.values[part][measure], base.values[part][measure]
        return interval(after - np.resize(before, len(after)))


def _together(of_seeds: Sequence[Sequence[float]]) -> Values:
    if len({len(each) for each in of_seeds}) == 1:
        return np.asarray(np.mean(of_seeds, axis=0), dtype=np.float64)
    return np.concatenate([np.asarray(each, dtype=np.float64) for each in of_seeds])


def shown(gain: tuple[float, float, float]) -> str:
    """Write a gain with its interval."""
    return f"{gain[0]:+.3f} [{gain[1]:+.3f}, {gain[2]:+.3f}]"
