"""No candidate that the gate refuses is ever served: sabotaged ones, and honest repeats.

    python tests/benchmarks/gate.py [--quick] [--json FILE]

Documents, queries and answers are O*NET's; the clicks are SIMULATED. Encoders are tables of word
vectors that train in a second; trust, split, judgments, pairs, truth, evidence and verdict are the
product's own. Every sabotaged candidate is judged (a) in place of the base encoder, with an honest
tuned one as the saboteur's material, so that what is good in it argues for it. Every repeat is
judged in place of the honest one, on a night of clicks that fell on the honest one's answers.
One of each kind goes through a whole cycle, and what serves afterwards is looked at.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import torch
from gating.cycles import Outcome, cycle_with, keep_log
from gating.query_side import MODES, query_repeats, tuned, with_share
from gating.repeats import repeats
from gating.saboteurs import Material, sabotages
from gating.town import Town
from goals.held import conclude, goal

torch.set_num_threads(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is counted."""

    #: Of users; each is another log.
    towns: tuple[int, ...]
    searches: int
    #: Of each kind and strength of sabotage.
    sabotage_seeds: tuple[int, ...]
    #: Of repeats in each town.
    repeats: int
    #: Of repeats of each query-side mode in each town.
    query_repeats: int
    #: Of the log that whole cycles read.
    cycle_searches: int = 6_000


QUICK = Plan(towns=(1,), searches=20_000, sabotage_seeds=(1,), repeats=10, query_repeats=4)
FULL = Plan(towns=(1, 2, 3, 4), searches=30_000, sabotage_seeds=(1,), repeats=28, query_repeats=6)


@dataclass
class Count:
    """What was judged and how it ended."""

    refused: int = 0
    promoted: list[str] = field(default_factory=list)
    #: First obstacle by kind, its numbers left out.
    reasons: dict[str, Counter[str]] = field(default_factory=dict)
    #: Loss against the honest candidate on test queries, by name.
    harm: dict[str, float] = field(default_factory=dict)
    #: Lower bound of the gain, by name.
    bounds: dict[str, float] = field(default_factory=dict)

    @property
    def judged(self) -> int:
        return self.refused + len(self.promoted)


@dataclass
class QuerySides:
    """Query sides in place of a query side."""

    repeats: Count = field(default_factory=Count)
    #: Lower bound of the gain of one that learned from four times the pairs, by name.
    taught_more: dict[str, float] = field(default_factory=dict)
    #: Those of them that the gate promoted.
    progress: list[str] = field(default_factory=list)


def material_of(town: Town, *, searches: int, seed: int) -> Material:
    """Let users click, mine, and train the honest candidate."""
    night = town.night(town.base, searches=searches, seed=seed)
    pairs = town.pairs(night)
    return Material(town=town, night=night, pairs=pairs, honest=town.tuned(pairs, seed=seed))


def judge_sabotages(material: Material, plan: Plan, count: Count, *, of_town: int) -> None:
    """Judge every kind in place of the base encoder."""
    for each in sabotages([10 * of_town + seed for seed in plan.sabotage_seeds]):
        candidate = each.make(material, each.strength, each.seed)
        verdict, _ = material.town.judged(candidate, material.town.base, material.night)
        count.harm[each.name] = -material.town.true_gain(candidate, material.honest)[0]
        tell(f"{each.name}: {verdict.reason}")
        if verdict.promote:
            count.promoted.append(f"{each.name}: {verdict.reason}")
            continue
        count.refused += 1
        count.reasons.setdefault(each.kind, Counter())[kind_of(verdict.obstacles[0])] += 1


def judge_repeats(material: Material, plan: Plan, count: Count, *, of_town: int) -> None:
    """Judge repeats in place of the honest candidate, by clicks on the honest one's answers."""
    town, honest = material.town, material.honest
    night = town.night(honest, searches=plan.searches, seed=100 + of_town)
    seeds = [100 * of_town + number for number in range(plan.repeats)]
    for each in repeats(plan.repeats, seeds):
        verdict, report = town.judged(each.make(material, each.seed), honest, night)
        count.bounds[each.name] = report.gain["ndcg@10"].low
        tell(f"{each.name}: {verdict.reason}")
        if verdict.promote:
            count.promoted.append(f"{each.name}: {verdict.reason}")
            continue
        count.refused += 1


def judge_query_sides(material: Material, plan: Plan, found: "QuerySides", *, of_town: int) -> None:
    """Judge query sides in place of one that serves: the same again, and one taught more.

    Nothing is embedded for them, so the gate asks a smaller gain of them.
    """
    town = material.town
    for mode in MODES:
        serves = tuned(material, material.pairs, mode, seed=of_town)
        night = town.night(serves, searches=plan.searches, seed=100 + of_town)
        seeds = [100 * of_town + number for number in range(plan.query_repeats)]
        for each in query_repeats(material, mode, seeds):
            verdict, report = town.judged(each.make(), serves, night)
            found.repeats.bounds[each.name] = report.gain["ndcg@10"].low
            tell(f"{each.name}: {verdict.reason}")
            if verdict.promote:
                found.repeats.promoted.append(f"{each.name}: {verdict.reason}")
            else:
                found.repeats.refused += 1
        less = tuned(material, with_share(material.pairs, 0.25, seed=of_town), mode, seed=of_town)
        verdict, report = town.judged(serves, less, night)
        tell(f"{mode}, four times the pairs: {verdict.reason}")
        found.taught_more[f"{mode}, town {of_town}"] = report.gain["ndcg@10"].low
        if verdict.promote:
            found.progress.append(f"{mode}, town {of_town}")


def kind_of(obstacle: str) -> str:
    """Name an obstacle without its numbers."""
    names = {
        "vectors": "its vectors as such",
        "pushes itself": "a document pushes itself",
        "own titles": "documents lost to their own titles",
        "lower bound": "not better",
        "segment fell": "a segment fell",
        "of one kind": "a topic fell",
        "newest": "the newest searches fell",
        "general ability": "general ability fell",
    }
    return next((name for words, name in names.items() if words in obstacle), obstacle)


def cycles_of(material: Material) -> list[Outcome]:
    """Let a whole cycle train each kind at its greatest strength, and look at what serves."""
    first: dict[str, Any] = {}
    for each in sabotages([1]):
        first.setdefault(each.kind, each)
    return [
        cycle_with(material, each.kind, each.make(material, each.strength, each.seed))
        for each in first.values()
    ]


def measure(plan: Plan) -> dict[str, Any]:
    """Judge everything and count."""
    sabotaged, repeated, honest = Count(), Count(), Count()
    query_sides = QuerySides()
    cycles: list[Outcome] = []
    for seed in plan.towns:
        with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
            town = Town(folder=Path(folder), stack=stack)
            material = material_of(town, searches=plan.searches, seed=seed)
            verdict, _ = town.judged(material.honest, town.base, material.night)
            if verdict.promote:
                honest.promoted.append(verdict.reason)
            else:
                honest.refused += 1
                honest.reasons.setdefault("honest", Counter())[verdict.reason] += 1
            judge_sabotages(material, plan, sabotaged, of_town=seed)
            judge_repeats(material, plan, repeated, of_town=seed)
            judge_query_sides(material, plan, query_sides, of_town=seed)
            if not cycles:
                keep_log(town, searches=plan.cycle_searches, seed=seed)
                cycles = cycles_of(material)
            tell(f"town {seed}: {sabotaged.judged} sabotaged, {repeated.judged} repeats judged")
    return {
        "sabotaged": told(sabotaged),
        "repeats": told(repeated),
        "query_side_repeats": told(query_sides.repeats),
        "query_sides_taught_more": {
            "bounds": {name: round(low, 4) for name, low in query_sides.taught_more.items()},
            "promoted": query_sides.progress,
        },
        "honest": told(honest),
        "cycles": [vars_of(each) for each in cycles],
        "goals": goals(plan, sabotaged, repeated, query_sides, honest, cycles),
    }


def told(count: Count) -> dict[str, Any]:
    return {
        "judged": count.judged,
        "refused": count.refused,
        "promoted": count.promoted,
        "reasons": {kind: dict(each) for kind, each in count.reasons.items()},
        "harm": {name: round(value, 4) for name, value in count.harm.items()},
        "highest_bounds": dict(
            sorted(
                ((name, round(value, 4)) for name, value in count.bounds.items()),
                key=lambda entry: -entry[1],
            )[:5]
        ),
    }


def vars_of(outcome: Outcome) -> Mapping[str, object]:
    return {
        "kind": outcome.kind,
        "served": outcome.served,
        "outcome": outcome.outcome,
        "reason": outcome.reason,
    }


def goals(
    plan: Plan,
    sabotaged: Count,
    repeated: Count,
    query_sides: QuerySides,
    honest: Count,
    cycles: list[Outcome],
) -> list[dict[str, Any]]:
    """Every one of the promises as a number."""
    least = 100 if plan == FULL else 30
    few = 100 if plan == FULL else 8
    served = [each.kind for each in cycles if each.served]
    rows = [
        (
            "sabotaged candidates judged",
            f"at least {least}",
            sabotaged.judged,
            sabotaged.judged >= least,
        ),
        ("sabotaged candidates promoted", "0", len(sabotaged.promoted), not sabotaged.promoted),
        ("kinds of sabotage through a whole cycle", "all", len(cycles), len(cycles) >= 14),
        ("sabotaged candidates that served, of those", "0", len(served), not served),
        ("honest repeats judged", f"at least {few}", repeated.judged, repeated.judged >= few),
        ("honest repeats promoted", "0", len(repeated.promoted), not repeated.promoted),
        (
            "honest repeats of a query side promoted",
            "0",
            len(query_sides.repeats.promoted),
            not query_sides.repeats.promoted and query_sides.repeats.judged > 0,
        ),
        ("honest first candidates promoted", "all", len(honest.promoted), not honest.refused),
    ]
    return [goal(name, asked, value, holds=holds) for name, asked, value, holds in rows]


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Count, show and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="one town, a few repeats")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    asked = parser.parse_args()
    began = time.monotonic()
    found = measure(QUICK if asked.quick else FULL)
    found["seconds"] = round(time.monotonic() - began, 1)
    for kind, reasons in found["sabotaged"]["reasons"].items():
        tell(f"  {kind}: " + ", ".join(f"{why} {n}" for why, n in reasons.items()))
    for name in ("sabotaged", "repeats", "query_side_repeats"):
        for promoted in found[name]["promoted"]:
            tell(f"PROMOTED {promoted}")
    judged = found.pop("goals")
    return conclude("gate", judged, quick=asked.quick, file=asked.json, **found)


if __name__ == "__main__":
    sys.exit(main())
