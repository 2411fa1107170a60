"""What was measured as tables, and which goals hold."""

import json
from typing import Any

from goals.held import goal

from desireline.trainer.intent.scoring import FIGURES, RARE

CALIBRATED = 0.05


def goals(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Say which goals hold."""
    told = []
    for name, cell in found.items():
        error = cell["figures"]["head, base"]["all"]["calibration error"]["value"]
        filtered = cell["searches"]["base"]["filter"]["high"]
        over = cell["accuracy over"]
        checks = [
            (f"accuracy over: {who}", "lower bound above 0", over[who]["low"], over[who]["low"] > 0)
            for who in ("majority", "vote of documents", "words")
        ]
        near = over["vote of taught queries"]["high"]
        checks += [
            ("accuracy over: vote of taught queries", "upper bound not below 0", near, near >= 0),
            ("calibration error", "at most 0.05", error, error <= CALIBRATED),
            ("mRR@20 by filter", "upper bound not below 0", filtered, filtered >= 0),
        ]
        told += [
            goal(f"{name}: {what}", asked, value, holds=holds)
            for what, asked, value, holds in checks
        ]
    return told


def show(name: str, cell: dict[str, Any]) -> None:
    """Print one cell as rows of a Markdown table."""
    print(
        f"\n{name}: {cell['taught']:,} queries teach, {cell['queries']:,} are asked,"
        f" {cell['categories']} categories\n"
    )
    print("| | " + " | ".join(FIGURES) + " | accuracy, rare categories |")
    print("|---" * (len(FIGURES) + 2) + "|")
    for who, parts in cell["figures"].items():
        cells = [_cell(parts["all"][figure]) for figure in FIGURES]
        cells.append(_cell(parts[RARE]["accuracy"]) if RARE in parts else "")
        print(f"| {who} | " + " | ".join(cells) + " |")
    for trunk, told in cell["searches"].items():
        print(f"\nmRR@20, {trunk} trunk: {json.dumps(told)}", flush=True)


def _cell(figure: dict[str, float]) -> str:
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"
