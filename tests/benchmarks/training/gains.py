"""What was found of each way, put together over its seeds: a table, goals and a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from goals.held import goal
from goals.interval import Values, interval
from training.gain_page import KINDS, WORLDS
from training.gain_picture import Point, draw

MEASURES = ("mrr@20", "recall@20", "ndcg@20", "mrr@10", "recall@10", "ndcg@10")
#: mRR@20 from true pairs that a first try reached.
FIRST_TRY = {"onet": 0.700, "tldr": 0.386, "banking77": 0.893}
#: Relative gain over the base that Finetuner published for text.
PUBLISHED = {"mrr@20": 0.158, "recall@20": 0.053}


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


def put_together(world: str, kind: str, way: str, some: list[dict[str, Any]]) -> Row:
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


def find(table: Sequence[Row], world: str, kind: str, way: str) -> Row | None:
    """Return a row if it was measured."""
    return next((r for r in table if (r.world, r.kind, r.way) == (world, kind, way)), None)


def report(table: Sequence[Row]) -> list[dict[str, Any]]:
    """Return each row's means, with its distance to the base and to the plain recipe."""
    return [
        {
            "world": row.world,
            "kind": row.kind,
            "way": row.way,
            "seeds": row.seeds,
            "by_seed": row.by_seed,
            "cpu_s": round(row.cpu_s, 1),
            "pairs": row.pairs,
            **{name: round(float(row.values[name].mean()), 4) for name in MEASURES},
            "over_base": _distance(row, find(table, row.world, "", "base")),
            "over_plain": _distance(row, find(table, row.world, row.kind, "plain")),
        }
        for row in table
    ]


def _distance(row: Row, other: Row | None) -> list[float] | None:
    """Return mean, low and high of the difference in mRR@20."""
    if other is None or other.way == row.way:
        return None
    gain = row.values["mrr@20"] - other.values["mrr@20"]
    return [round(each, 4) for each in interval(gain)]


def goals(table: Sequence[Row]) -> list[dict[str, Any]]:
    """Hold the goals of docs/tuning.md against what was measured."""
    judged = []
    for row in (row for row in table if row.way == "full"):
        plain = _distance(row, find(table, row.world, row.kind, "plain"))
        if plain:
            name = f"{row.world}, {row.kind}: mRR@20 over the plain recipe, same pairs"
            better = plain[0] >= 0 or plain[2] >= 0
            judged.append(goal(name, "no loss", plain[0], holds=better))
        whole = find(table, row.world, row.kind, "full, all pairs") or row
        judged += _over_the_base(table, whole)
        for adapter, full in (("adapter", row), ("adapter, all pairs", whole)):
            judged += _of_adapter(table, find(table, row.world, row.kind, adapter), full)
    return judged


def _over_the_base(table: Sequence[Row], row: Row) -> list[dict[str, Any]]:
    """How far the best that is tuned here goes beyond the base, and beyond a first try."""
    judged, name = [], f"{row.world}, {row.kind}, {row.way}"
    base = find(table, row.world, "", "base")
    for measure, share in PUBLISHED.items() if base else ():
        before = float(base.values[measure].mean())
        value = float(row.values[measure].mean()) / before - 1
        holds = value >= share or before * (1 + share) > 1
        text = f">= {share:.3f}, or no room"
        judged.append(goal(f"{name}: relative gain in {measure}", text, value, holds=holds))
    if row.kind == "true":
        value, least = float(row.values["mrr@20"].mean()), FIRST_TRY[row.world]
        holds = round(value, 3) >= least
        judged.append(goal(f"{name}: mRR@20", f">= {least}", value, holds=holds))
    return judged


def _of_adapter(table: Sequence[Row], row: Row | None, full: Row) -> list[dict[str, Any]]:
    """How much of the gain of `full` a map on query vectors reaches, at which share of its cost."""
    base = find(table, full.world, "", "base")
    if base is None or row is None:
        return []
    before = float(base.values["mrr@20"].mean())
    gains = [float(each.values["mrr@20"].mean()) - before for each in (row, full)]
    share, cost = gains[0] / gains[1], row.cpu_s / full.cpu_s
    name = f"{full.world}, {full.kind}: {row.way}, of {full.way}"
    return [
        goal(f"{name}: share of its gain", ">= 0.5", share, holds=share >= 0.5),
        goal(f"{name}: share of its processor seconds", "<= 0.02", cost, holds=cost <= 0.02),
    ]


def picture(table: Sequence[Row]) -> str:
    """Draw the gain in mRR@20 over the base against the processor seconds of training."""
    points = []
    for row in table:
        base = find(table, row.world, "", "base")
        if base is not None and row.cpu_s > 0 and "BM25" not in row.way:
            gain = row.values["mrr@20"] - base.values["mrr@20"]
            mean, low, high = interval(gain)
            points.append(
                Point(
                    chart=f"{WORLDS[row.world]}, {KINDS[row.kind]}",
                    name=row.way,
                    cpu_s=row.cpu_s,
                    gain=mean,
                    low=low,
                    high=high,
                )
            )
    return draw(points)
