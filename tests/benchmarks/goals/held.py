"""Figures held against what was asked of them, told and written the same way by every benchmark."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def goal(name: str, asked: str, value: float, *, holds: bool, digits: int = 4) -> dict[str, Any]:
    """Hold a figure against what was asked."""
    return {"name": name, "goal": asked, "value": round(value, digits), "holds": bool(holds)}


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
        holds = "holds" if each["holds"] else "MISSED"
        print(f"{holds:7} {each['name']}: {each['value']} (goal {each['goal']})")
    if file:
        machine = {"cores": os.cpu_count(), "load": os.getloadavg(), "quick": quick}
        content = {"benchmark": benchmark, "machine": machine, **details, "goals": list(goals)}
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0 if all(each["holds"] for each in goals) else 1
