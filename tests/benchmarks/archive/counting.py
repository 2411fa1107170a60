"""The part that counts: from an archive to judgments at several sizes, in memory that stays."""

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from apart.child import reply_of
from goals.held import goal

from desireline.sidecar.archive.counts import ROWS_AT_ONCE

#: Of a size, as a multiple of the next smaller one's.
MOST_GROWTH = 1.25


def measure(sizes: tuple[int, ...]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Make an archive of each size, count and judge it, and remove it; figures and goals.

    As many rows are joined at once in all of them, a tenth of the smallest or as is usual.
    """
    at_once = min(ROWS_AT_ONCE, min(sizes, default=0) // 10)
    found = {f"{step} {size}": told for size in sizes for step, told in _of(size, at_once).items()}
    goals = []
    for small, large in pairwise(sizes):
        growth = found[f"counted {large}"]["peak_mb"] / found[f"counted {small}"]["peak_mb"]
        name = f"memory to count and judge {large:,} rows, times that of {small:,}"
        holds = growth <= MOST_GROWTH
        goals.append(goal(name, f"<= {MOST_GROWTH}", growth, holds=holds, digits=3))
    return found, goals


def _of(size: int, at_once: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="desireline-counting-") as folder:
        told = {step: _run(step, folder, size, at_once) for step in ("made", "counted")}
        kept = sum(path.stat().st_size for path in Path(folder).glob("events/*/*.parquet"))
    told["made"]["bytes_a_row"] = round(kept / told["made"]["rows"], 1)
    return told


def _run(step: str, folder: str, size: int, at_once: int) -> dict[str, Any]:
    program = Path(__file__).with_name("one_step.py")
    return reply_of(program, step, folder, str(size), str(at_once))
