"""Many seeded migrations on every core, counted.

python tests/simulation/migrations.py [--count 10000] [--first 0] [--json FILE]
"""

import argparse
import json
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import structlog

sys.path.insert(0, str(Path(__file__).parent))

from mutants import Mutant, plant
from simulated_migration import Migration

from desireline.sidecar.ways.choice import Way

_PORTION = 10
#: A mutant is mostly found at once: what was begun beside it is run for nothing.
_MUTANT_PORTION = 3


def one(seed: int, tender: str = "", way: Way | None = None) -> dict[str, Any]:
    """Run one seed and return what it did, or how it went wrong."""
    migration = Migration(seed, tender, way)
    violation = ""
    try:
        migration.run()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is counted with its seed
        violation = f"{type(error).__name__}: {error}"
    return {
        "seed": seed,
        "way": migration.way,
        "violation": violation,
        "digest": migration.digest,
        "steps": migration.schedule.steps,
        "acknowledged": migration.application.acknowledged,
        "embeddings": migration.checks.embeddings,
        "copies": migration.checks.copies,
        "swaps": migration.checks.names.swaps,
        "searches": migration.checks.searches,
        "query_swaps": migration.checks.query_swaps,
        "pointers": len(migration.checks.pointers),
    }


def portion(seeds: Sequence[int], tender: str = "", way: Way | None = None) -> list[dict[str, Any]]:
    """Run several seeds."""
    return [one(seed, tender, way) for seed in seeds]


def _prepare(mutant: Mutant | None) -> None:
    """Make this process silent and, if asked for, wrong."""
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)
    if mutant is not None:
        plant(mutant)


def many(
    seeds: Sequence[int],
    processes: int | None = None,
    mutant: Mutant | None = None,
    way: Way | None = None,
) -> Iterator[dict[str, Any]]:
    """Run seeds on every core; the results are those of the same seeds run alone.

    Whoever has seen enough may stop: what has not begun is not run. The processes are fresh
    ones: a fork of a test session takes the locks of its libraries' threads along, as they are.
    """
    size = _MUTANT_PORTION if mutant else _PORTION
    portions = [seeds[start : start + size] for start in range(0, len(seeds), size)]
    tender, way = (mutant.tender, mutant.way) if mutant else ("", way)
    fresh = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        processes or os.cpu_count(), fresh, initializer=_prepare, initargs=(mutant,)
    )
    try:
        each = len(portions)
        for results in pool.map(portion, portions, [tender] * each, [way] * each):
            yield from results
    finally:
        pool.shutdown(cancel_futures=True)


def summary(results: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Count what was done and name every seed that went wrong."""
    counted = ("steps", "acknowledged", "embeddings", "copies", "searches", "pointers")
    counted += ("swaps", "query_swaps")
    wrong = [r for r in results if r["violation"]]
    return {
        "migrations": len(results),
        "by_new_index": sum(r["way"] == "index" for r in results),
        "first_seed": results[0]["seed"],
        "last_seed": results[-1]["seed"],
        "violations": len(wrong),
        "wrong": [{"seed": r["seed"], "violation": r["violation"]} for r in wrong],
        "seconds": round(seconds, 1),
        **{name: sum(r[name] for r in results) for name in counted},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, help="left out: one for every core")
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument(
        "--way", choices=("slot", "index", "query"), help="left out: slots or indexes, by the seed"
    )
    options = parser.parse_args()
    began = time.perf_counter()
    seeds = range(options.first, options.first + options.count)
    found = summary(
        list(many(seeds, options.processes, way=options.way)), time.perf_counter() - began
    )
    print(json.dumps(found, indent=2))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 1 if found["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
