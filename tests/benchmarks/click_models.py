"""How well each click model recovers the truth: nDCG of its labels, by the size of the log.

    python tests/benchmarks/click_models.py [--quick] [--json FILE] [--picture FILE] [--cells FILE]

Clicks are simulated on real judgments (150 queries of ESCI, 600 job titles of O*NET, 600 wants of
tldr where its data are), by three kinds of users, so that no model is at home everywhere. A
label's order of the documents that were shown for a query is compared with the truth's; documents
with the same label stand in any order. `raw click-through` and `coec_search_relevance` are what
users have today, `as ranked` needs no click.
"""

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import polars as pl
from goals.held import conclude, goal
from mining.worlds import DATA
from recovered.picture import draw
from recovered.worlds import USERS, Truth, World, esci, onet, tldr
from resuming.cells import Cells

from desireline.connectors import plugins
from desireline.trainer.clickmodels.base import ClickLog
from desireline.trainer.measures.ndcg import Ndcg

SIZES = (1_000, 10_000, 100_000, 1_000_000)
RAW, RANKED, AUTO, PLUGIN = "raw click-through", "as ranked", "auto", "coec_search_relevance"
ENOUGH = 100_000
Labels = pl.DataFrame
"""Columns query, document_id, label."""
Row = dict[str, Any]


def labellers() -> dict[str, Callable[[ClickLog], Labels]]:
    """Every installed click model, and two ways that need none."""
    found: dict[str, Callable[[ClickLog], Labels]] = {
        name: _by_model(name) for name in plugins.names("clickmodels")
    }
    return found | {RAW: _raw, RANKED: _ranked}


def _by_model(name: str) -> Callable[[ClickLog], Labels]:
    def label(log: ClickLog) -> Labels:
        fitted = plugins.load("clickmodels", name)().fit(log)
        grade = pl.col("attraction") * pl.col("satisfaction")
        return fitted.attractiveness.select("query", "document_id", label=grade)

    return label


def _raw(log: ClickLog) -> Labels:
    rate = pl.col("clicks") / pl.col("impressions")
    return log.pairs.select("query", "document_id", label=rate)


def _ranked(log: ClickLog) -> Labels:
    place = pl.col("position") * pl.col("impressions")
    return log.counts.group_by("query", "document_id", maintain_order=True).agg(
        label=-(place.sum() / pl.col("impressions").sum())
    )


def ndcg(labels: Labels, truth: Truth, random: np.random.Generator) -> float:
    """Mean nDCG@10 over the queries of the log for which something right was shown."""
    measure, values = Ndcg(10), []
    shuffled = labels.with_columns(chance=pl.Series(random.random(labels.height)))
    ordered = shuffled.sort("query", "label", "chance", descending=[False, True, False])
    for (query,), rows in ordered.group_by("query", maintain_order=True):
        names = rows.get_column("document_id").to_list()
        gains = {name: truth[str(query)][name] for name in names}
        if any(gains.values()):
            values.append(measure.value(names, gains))
    return mean(values) if values else 0.0


def worlds(data: Path) -> dict[str, Truth]:
    """Every truth that is at hand."""
    found = {"esci": esci(), "onet": onet()}
    if not (data / "tldr").exists():
        print(f"tldr is not in {data}; it was not measured")
        return found
    return found | {"tldr": tldr(data)}


def measure(
    truths: Mapping[str, Truth], sizes: Sequence[int], seeds: int, cells: Cells
) -> list[Row]:
    """One row a world, users, size, seed and way; small logs first."""
    rows: list[Row] = []
    for size, seed in product(sizes, range(seeds)):
        for (world, truth), users in product(truths.items(), USERS):
            log = {"world": world, "users": users, "events": size, "seed": seed}
            found = cells.get(log, partial(_recovered, truth, users, size, seed))
            rows += [log | each for each in found]
            seconds = sum(each["seconds"] for each in found)
            print(f"{world}, users {users}, {size:,} events, seed {seed}: {seconds:.1f} s")
    return rows


def _recovered(truth: Truth, users: str, size: int, seed: int) -> list[Row]:
    """Return how well each way recovers the truth from one log, and its processor seconds."""
    random = np.random.default_rng([seed, size])
    log = World(truth=truth, users=USERS[users], random=random).log(size)
    rows: list[Row] = []
    for name, label in labellers().items():
        start = time.process_time()
        labels = label(log)
        seconds = time.process_time() - start
        value = ndcg(labels, truth, np.random.default_rng(seed))
        rows.append({"way": name, "ndcg": value, "seconds": seconds})
    return rows


def table(rows: Sequence[Row]) -> dict[str, dict[str, list[float]]]:
    """Mean over the seeds: by chart, by way, one value a size."""
    found: dict[str, dict[str, dict[int, list[float]]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        line = found[f"{row['world']}, users {row['users']}"][row["way"]]
        line.setdefault(row["events"], []).append(row["ndcg"])
    return {
        chart: {
            way: [mean(values) for _, values in sorted(by_size.items())]
            for way, by_size in lines.items()
        }
        for chart, lines in found.items()
    }


def spread(rows: Sequence[Row], way: str, size: int) -> tuple[float, float, float]:
    """Mean over worlds and users of each seed: the least, the mean and the most of them."""
    by_seed = defaultdict(list)
    for row in rows:
        if (row["way"], row["events"]) == (way, size):
            by_seed[row["seed"]].append(row["ndcg"])
    means = [mean(values) for values in by_seed.values()]
    return min(means), mean(means), max(means)


def goals(
    charts: Mapping[str, Mapping[str, list[float]]], sizes: Sequence[int]
) -> list[dict[str, Any]]:
    """From 100,000 events on, `auto` is no worse than what users have today, whoever clicks."""
    chosen = [number for number, size in enumerate(sizes) if size >= min(ENOUGH, max(sizes))]
    judged = []
    for rival in (PLUGIN, RAW):
        gain = min(
            lines[AUTO][number] - lines[rival][number]
            for lines in charts.values()
            for number in chosen
        )
        name = f"click models: least nDCG of auto above {rival}"
        judged.append(goal(name, ">= 0", gain, holds=gain >= 0))
    return judged


def report(
    rows: Sequence[Row], charts: Mapping[str, Mapping[str, list[float]]], sizes: Sequence[int]
) -> None:
    """Print two tables: over everything with the spread of the seeds, and each chart."""
    heads = " | ".join(f"{size:,}" for size in sizes)
    print(f"\n| mean of all, least to most of a seed | {heads} |\n|---|{'---|' * len(sizes)}")
    ways = {way: [spread(rows, way, size) for size in sizes] for way in labellers()}
    for way, found in sorted(ways.items(), key=lambda line: -line[1][-1][1]):
        cells = " | ".join(f"{middle:.3f} ({low:.3f} to {high:.3f})" for low, middle, high in found)
        print(f"| {way} | {cells} |")
    print(f"\n| {f'{sizes[-1]:,} events'} | {' | '.join(charts)} |\n|---|{'---|' * len(charts)}")
    for way in sorted(ways, key=lambda way: -ways[way][-1][1]):
        cells = " | ".join(f"{lines[way][-1]:.3f}" for lines in charts.values())
        print(f"| {way} | {cells} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="up to 100,000 events, one seed")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--picture", type=Path, help="draw the table into this SVG")
    parser.add_argument("--cells", type=Path, help="keep finished cells here and go on from them")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    asked = parser.parse_args()
    sizes = SIZES[:3] if asked.quick else SIZES
    rows = measure(worlds(asked.data), sizes, 1 if asked.quick else 3, Cells(asked.cells))
    charts = table(rows)
    judged = goals(charts, sizes)
    report(rows, charts, sizes)
    if asked.picture:
        asked.picture.write_text(draw(charts, sizes), encoding="utf-8")
    return conclude("click_models", judged, quick=asked.quick, file=asked.json, rows=rows)


if __name__ == "__main__":
    sys.exit(main())
