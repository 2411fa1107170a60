"""The page of what was measured: a table for each set and kind of pairs, goals, and what is left.

Written whole by the benchmark, so that no figure on it is typed in.
"""

from collections.abc import Mapping, Sequence
from typing import Any

WORLDS = {"onet": "O*NET", "tldr": "tldr", "banking77": "banking77"}
KINDS = {"true": "true pairs", "clicks": "pairs from simulated clicks"}
#: In this order, before what was trained.
UNTRAINED = ("base", "bm25", "base + BM25")
_BEGINNING = (
    "# What tuning is worth, measured",
    "",
    "Written by `make bench NAME=tuning`; every figure below was measured, none typed in. What they"
    " mean stands in [results](results.md#tuning-by-set-and-mode).",
    "",
    "Each figure is of held-out test queries over all documents of a set. **True pairs** are the"
    " right answers of other queries, **pairs from simulated clicks** what the miners find in"
    " clicks that are SIMULATED on the base encoder's answers. **All pairs** learn from all that"
    " there are, every other way from the same 6,000 at most, drawn by the seed. **plain** is"
    " sentence-transformers' Trainer by its documentation, **+ BM25** reciprocal rank fusion.",
    "",
    "Values of a query are the mean over the seeds, brackets hold paired bootstrap intervals (95 %)"
    " over queries, seconds are processor seconds of training on one thread.",
)


def page(
    rows: Sequence[Mapping[str, Any]],
    goals: Sequence[Mapping[str, Any]],
    left: Sequence[str],
    told: Mapping[str, str],
    *,
    picture: str,
) -> str:
    """Return Markdown of rows as `gains.report` tells them, goals, and ways nobody measured."""
    lines = [*_BEGINNING, "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in told.items()]
    lines += ["", f"![gain in mRR@20 over the base, by processor seconds of training]({picture})"]
    charts = dict.fromkeys((row["world"], row["kind"]) for row in rows if row["kind"])
    for world, kind in charts:
        some = [row for row in rows if row["world"] == world and row["kind"] in {"", kind}]
        lines += ["", f"## {WORLDS[world]}, {KINDS[kind]}", "", *_table(some)]
    lines += ["", "## Goals", "", "| figure | goal | found | |", "|---|---|---|---|"]
    lines += [
        f"| {one['name']} | {one['goal']} | {one['value']} | {_verdict(one)} |" for one in goals
    ]
    missing = [f"- {name}" for name in left] or ["Nothing that was asked for."]
    return "\n".join([*lines, "", "## Not measured", "", *missing, ""])


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    names = ("mRR@20", "Recall@20", "nDCG@20", "mRR@10", "Recall@10", "nDCG@10")
    head = ["way", "seeds", *names, "mRR@20 over the base", "over plain", "pairs read", "CPU s"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    first = [row for way in UNTRAINED for row in rows if row["way"] == way]
    for row in [*first, *(row for row in rows if row not in first)]:
        trained = row not in first
        cells = [
            "BM25" if row["way"] == "bm25" else row["way"],
            str(row["seeds"]) if trained else "",
            *(f"{row[name.lower()]:.3f}" for name in names),
            _distance(row["over_base"]),
            _distance(row["over_plain"]) if trained else "",
            f"{row['pairs']:,.0f}" if trained else "",
            f"{row['cpu_s']:.3g}" if trained else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _distance(distance: Sequence[float] | None) -> str:
    if distance is None:
        return ""
    mean, low, high = distance
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"


def _verdict(goal: Mapping[str, Any]) -> str:
    return "holds" if goal["holds"] else "**missed**"
