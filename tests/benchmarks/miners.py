"""Which miners earn their place: the same base encoder tuned on the pairs of each.

    python tests/benchmarks/miners.py [--quick] [--json FILE] [--cells FILE] [--only onet tldr]

Documents, queries and answers are real; the clicks are SIMULATED (a document is looked at with
probability 1/position^0.6, clicked with .85 if right and .04 if not; most queries are typed
once). Sessions, judgments, miners, label model, batches and loss are the product's own; the
encoder is a table of word vectors that tunes in seconds. Every number is mRR@20 on held-out
queries over all documents; intervals are bootstrapped over queries, whose values are the mean
over the seeds. Share closed = how much of the way from the base to an encoder tuned on the true
pairs of the clicked queries.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from goals.held import conclude, goal
from goals.interval import draws, interval
from mining.static_encoder import Recipe, StaticEncoder, train
from mining.towns import Log, Town, Values
from mining.worlds import DATA, at_hand, load
from resuming.cells import Cells

from desireline.trainer.miners.base import Miner, mine, mine_all
from desireline.trainer.miners.categories import Categories
from desireline.trainer.miners.clicked import Clicked
from desireline.trainer.miners.co_clicked import CoClicked
from desireline.trainer.miners.crops import Crops
from desireline.trainer.miners.engine_negatives import EngineNegatives
from desireline.trainer.miners.pseudo_queries import PseudoQueries
from desireline.trainer.miners.reformulated import Reformulated
from desireline.trainer.miners.self_supervised import SelfSupervised
from desireline.trainer.miners.skipped_above import SkippedAbove
from desireline.trainer.miners.unanswered import Unanswered
from desireline.trainer.pairs import PairSet

WORLDS = ("onet", "tldr")
#: Share of the distance between base and true pairs that everything together must close.
GOALS = {"onet": 0.75, "tldr": 0.60}

EACH: dict[str, Callable[[], Miner]] = {
    "clicked": Clicked,
    "skipped_above": SkippedAbove,
    "engine_negatives": EngineNegatives,
    "self_supervised": SelfSupervised,
    "pseudo_queries": PseudoQueries,
    "crops": Crops,
    "categories": Categories,
    "co_clicked": CoClicked,
}
#: These need users who try again, so they are measured on a log of such users.
RETRYING: dict[str, Callable[[], Miner]] = {"reformulated": Reformulated, "unanswered": Unanswered}
#: What stands in `tune.miners` for a target with clicks, as docs/results.md recommends.
CHOSEN = ("clicked", "skipped_above", "engine_negatives", "self_supervised")
Reached = dict[str, Any]
"""Values by query, pairs and processor seconds of one arm and seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured."""

    seeds: tuple[int, ...]
    #: Only these ways to make pairs; all without a name.
    arms: tuple[str, ...] = ()
    #: Whether only what is in the file of cells is told.
    kept_only: bool = False
    recipe: Recipe = field(default_factory=lambda: Recipe(hard_negatives=4))


def arms(log: Log) -> dict[str, Callable[[], PairSet]]:
    """Every way to make pairs of a log, by name."""
    if log.retrying:
        return {
            "clicked (users who retry)": lambda: mine_all(log.material, [Clicked()]),
            **{
                f"clicked + {name}": _mining(log, ("clicked", name), {**EACH, **RETRYING})
                for name in RETRYING
            },
        }
    alone = {name: _mining(log, (name,), EACH) for name in EACH}
    beside = {
        f"clicked + {name}": _mining(log, ("clicked", name), EACH)
        for name in EACH
        if name != "clicked"
    }
    return {
        "raw clicks": log.raw,
        "true pairs": log.true,
        **alone,
        **beside,
        "chosen": _mining(log, CHOSEN, EACH),
        "all": _mining(log, tuple(EACH), EACH),
    }


def _mining(
    log: Log, names: Sequence[str], kinds: Mapping[str, Callable[[], Miner]]
) -> Callable[[], PairSet]:
    return lambda: mine(log.material, [kinds[name]() for name in names]).pairs


def measure(town: Town, plan: Plan, cells: Cells) -> dict[str, Any]:
    """Tune on every arm and seed; return what each reached."""
    found: dict[str, dict[int, Reached]] = {}
    wrong = []
    for seed in plan.seeds:
        logs = [Log(town, seed), Log(town, seed, retrying=True)]
        wrong.append(logs[0].wrong_share)
        for name, make in ((n, m) for log in logs for n, m in arms(log).items()):
            if plan.arms and name not in plan.arms:
                continue
            arm = {"world": town.world.name, "seed": seed, "arm": name}
            if plan.kept_only and arm not in cells:
                continue
            reached = cells.get(arm, partial(_tuned, town, make, plan.recipe, seed))
            if not reached["values"]:
                continue
            found.setdefault(name, {})[seed] = reached
            print(
                f"{town.world.name} seed {seed} {name:32} {np.mean(reached['values']):.4f}"
                f" {reached['pairs']:7,} pairs {reached['seconds']:5.0f} s",
                flush=True,
            )
    return _table(town, found, wrong)


def _tuned(town: Town, make: Callable[[], PairSet], recipe: Recipe, seed: int) -> Reached:
    """Tune on what one way makes; no values where it makes too little to learn from."""
    began = time.process_time()
    made = make()
    values: list[float] = []
    if len({pair.positive.document_id for pair in made.pairs}) > 1:
        values = town.of_encoder(train(town.base, made, recipe, seed=seed)).tolist()
    seconds = time.process_time() - began
    return {"values": values, "pairs": len(made.pairs), "seconds": seconds}


def _table(
    town: Town, found: Mapping[str, Mapping[int, Reached]], wrong: Sequence[float]
) -> dict[str, Any]:
    base = town.of_encoder(town.base)
    words = town.values(town.words.rank(sorted(town.world.test), 20))
    return {
        "wrong_share": round(float(np.mean(wrong)), 3),
        "base": round(float(base.mean()), 4),
        "bm25": round(float(words.mean()), 4),
        "arms": {name: _compared(name, found, base) for name in found},
    }


def _compared(
    name: str, found: Mapping[str, Mapping[int, Reached]], base: Values
) -> dict[str, Any]:
    """Put one arm beside the others; each time over the seeds that both were measured with."""
    values, clicked = _mean_of_both(found[name], found[_reference(name)])
    also, true = _mean_of_both(found[name], found["true pairs"])
    return {
        "mrr@20": round(float(values.mean()), 4),
        "share_closed": _share(also - base, true - base),
        "over_base": _interval(values - base),
        "over_clicked": _interval(values - clicked),
        "by_seed": {
            seed: round(float(np.mean(each["values"])), 4) for seed, each in found[name].items()
        },
        "pairs": int(np.mean([each["pairs"] for each in found[name].values()])),
    }


def _mean_of_both(
    one: Mapping[int, Reached], other: Mapping[int, Reached]
) -> tuple[Values, Values]:
    """Values of each query, the mean over the seeds that both have."""
    seeds = sorted(one.keys() & other.keys())
    means = [np.mean([arm[seed]["values"] for seed in seeds], axis=0) for arm in (one, other)]
    return means[0], means[1]


def report(name: str, table: Mapping[str, Any]) -> None:
    """Print one world as a table; the arms that close most first."""
    print(f"\n{name}: base {table['base']}, BM25 {table['bm25']},", end=" ")
    print(f"{table['wrong_share']:.0%} of clicked documents wrong")
    print("\n| pairs of | mRR@20 | closed | beside clicked | by seed | pairs |")
    print("|---|---|---|---|---|---|")
    for arm, row in sorted(table["arms"].items(), key=lambda each: -each[1]["mrr@20"]):
        closed, gain = row["share_closed"]["value"], row["over_clicked"]
        beside = f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]"
        seeds = ", ".join(f"{value:.3f}" for value in row["by_seed"].values())
        told = f"{row['mrr@20']:.3f} | {closed:.0%} | {beside} | {seeds} | {row['pairs']:,}"
        print(f"| {arm} | {told} |")


def _reference(name: str) -> str:
    of_retrying = any(each in name for each in (*RETRYING, "retry"))
    return "clicked (users who retry)" if of_retrying else "clicked"


def _share(gain: Values, room: Values) -> dict[str, float]:
    drawn = draws(len(gain))
    closed = gain[drawn].mean(axis=1) / np.maximum(room[drawn].mean(axis=1), 1e-9)
    low, high = np.quantile(closed, [0.025, 0.975])
    return {
        "value": round(float(gain.mean() / room.mean()), 3),
        "low": round(float(low), 3),
        "high": round(float(high), 3),
    }


def _interval(gain: Values) -> dict[str, float]:
    named = zip(("value", "low", "high"), interval(gain), strict=True)
    return {name: round(each, 4) for name, each in named}


def main() -> int:
    """Measure, compare with the goals, write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed instead of three")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--cells", type=Path, help="keep finished cells here and go on from them")
    parser.add_argument("--kept-only", action="store_true", help="tell of finished cells alone")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    parser.add_argument("--only", nargs="+", choices=WORLDS, default=WORLDS)
    parser.add_argument("--arms", nargs="+", default=[], help="only these ways to make pairs")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    asked = parser.parse_args()
    if not at_hand(asked.data):
        return 0
    torch.set_num_threads(1)
    needed = ("true pairs", "clicked", "chosen") if asked.arms else ()
    plan = Plan(
        seeds=(0,) if asked.quick else tuple(asked.seeds),
        arms=(*asked.arms, *needed),
        kept_only=asked.kept_only,
    )
    base = StaticEncoder.packaged()
    cells = Cells(asked.cells)
    found = {name: measure(Town(load(name, asked.data), base), plan, cells) for name in asked.only}
    goals = [_closed(name, found[name]["arms"]["chosen"]["share_closed"]) for name in asked.only]
    for name, table in found.items():
        report(name, table)
    return conclude(
        "miners", goals, quick=asked.quick, file=asked.json, clicks="SIMULATED", **found
    )


def _closed(name: str, share: Mapping[str, float]) -> dict[str, Any]:
    text = f"{name}: share of the way from base to true pairs that clicks close"
    value, least = share["value"], GOALS[name]
    return goal(text, f">= {least}", value, holds=value >= least)


if __name__ == "__main__":
    sys.exit(main())
