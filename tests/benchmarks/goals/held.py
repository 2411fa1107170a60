"""Figures held against what was asked of them, told and written the same way by every benchmark.

A benchmark ends with 1 where a figure misses its goal, and with 0 where all hold, where it has no
goal, and where the data it measures on are not there: then it says so and writes nothing. That is
so of a short run (`--quick`), too. It asks the same of fewer measurements, so that what it misses
is a reason for the whole run, no verdict.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def goal(name: str, asked: str, value: float, *, holds: bool, digits: int = 4) -> dict[str, Any]:
    """Hold a figure against what was asked."""
    return {"name": name, "goal": asked, "value": round(value, digits), "holds": bool(holds)}


def as_line(goal: Mapping[str, Any]) -> str:
    """Say in a line whether a goal holds."""
    holds = "holds" if goal["holds"] else "MISSED"
    return f"{holds:7} {goal['name']}: {goal['value']} (goal {goal['goal']})"


def conclude(
    benchmark: str,
    goals: Sequence[dict[str, Any]],
    *,
    quick: bool,
    file: Path | None,
    **details: Any,
) -> int:
    """Say which goals hold, write all figures where asked; return the exit code."""
    for each in goals:
        print(as_line(each))
    if file:
        machine = {"cores": os.cpu_count(), "load": os.getloadavg(), "quick": quick}
        content = {"benchmark": benchmark, "machine": machine, **details, "goals": list(goals)}
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0 if all(each["holds"] for each in goals) else 1
