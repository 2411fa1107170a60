"""Sessions, counts and the position-based model over millions of flat events.

Against plain pandas that maximises over every impression, and pandas that counts first as we do.
"""

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import synthetic_events
from part import Part
from programs import output

HERE = Path(__file__).parent
TURNS = 20
OURS, PANDAS, COUNTED = "desireline", "pandas", "pandas on counts"
WAYS = {
    OURS: ("ours.py", ()),
    PANDAS: ("plain.py", ("--impressions",)),
    COUNTED: ("plain.py", ()),
}


def measure(part: Part, *, quick: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="desireline-events-") as name:
        folder = Path(name)
        synthetic_events.write(folder, 1_000_000 if quick else 10_000_000)
        for number in range(2 if quick else 3):
            names = list(WAYS)
            for way in names[number:] + names[:number]:
                part.timings.append({"way": way, **_run(way, folder)})
    _judge(part)


def _run(way: str, folder: Path) -> dict[str, Any]:
    program, options = WAYS[way]
    told = output(HERE / program, str(folder), str(TURNS), *options)
    found: dict[str, Any] = json.loads(told.splitlines()[-1])
    return found


def _judge(part: Part) -> None:
    best = {way: min((_total(row), row) for row in _of(part, way))[1] for way in WAYS}
    for way, row in best.items():
        stages = "".join(f"{stage} {s:6.2f} s  " for stage, s in row["seconds"].items())
        part.lines.append(
            f"{way:18}{_total(row):7.2f} s   {stages}"
            f"{sum(row['cpu_seconds'].values()):6.2f} cpu-s{row['peak_mb']:8.0f} MB"
        )
    same = all(row["found"] == best[OURS]["found"] for row in best.values())
    part.expect("the three ways find the same", "1", float(same), holds=same)
    for way, goal in ((PANDAS, 4.0), (COUNTED, None)):
        ratio = statistics.median(
            _total(theirs) / _total(ours)
            for ours, theirs in zip(_of(part, OURS), _of(part, way), strict=True)
        )
        by_cpu = statistics.median(
            sum(theirs["cpu_seconds"].values()) / sum(ours["cpu_seconds"].values())
            for ours, theirs in zip(_of(part, OURS), _of(part, way), strict=True)
        )
        part.lines.append(
            f"times {way}, median of rounds: {ratio:.2f}; by processor seconds {by_cpu:.2f}"
        )
        if goal is not None:
            part.expect(f"labels: times {way}", f">= {goal}", ratio, holds=ratio >= goal)
    seconds, peak = _total(best[OURS]), max(row["peak_mb"] for row in _of(part, OURS))
    part.expect("labels: seconds", "<= 4", seconds, holds=seconds <= 4)
    part.expect("labels: peak MB", "<= 600", peak, holds=peak <= 600)


def _of(part: Part, way: str) -> list[dict[str, Any]]:
    return [row for row in part.timings if row["way"] == way]


def _total(row: dict[str, Any]) -> float:
    return sum(row["seconds"].values())
