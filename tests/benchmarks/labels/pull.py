"""The part that pulls: a real OpenSearch's events, by opensearch-py's `helpers.scan` and by ours.

Ways, taking turns, each run in a process of its own: `scan` (whole records, pages of 1,000, as it
comes), `docvalues` (a snapshot, `search_after`, nine fields as doc values, pages of 10,000),
`ours` (what `UbiLogs` reads with), all up to records in Python; and, up to events, `scan to
events` and `ours to events`.
"""

import json
import os
from pathlib import Path
from statistics import median
from typing import Any

from part import Part
from programs import output

WAYS = ("scan", "docvalues", "ours", "scan to events", "ours to events")
EVENTS, ROUNDS = 300_000, 5
QUICK_EVENTS, QUICK_ROUNDS = 60_000, 3
INDEX = "bench-pull-events"
GOAL = 2.5
#: Apart from here, where a module's name is that of a package opensearch-py needs.
PROGRAMS = Path(__file__).parents[1] / "pulling"


def measure(part: Part, *, quick: bool) -> None:
    """Load events, let every way read them in turns, and drop them."""
    url = os.environ.get("OPENSEARCH_URL")
    if not url:
        part.not_run["pull"] = "OPENSEARCH_URL names no OpenSearch to read from"
        return
    count, rounds = (QUICK_EVENTS, QUICK_ROUNDS) if quick else (EVENTS, ROUNDS)
    try:
        output(PROGRAMS / "index_of_events.py", url, INDEX, str(count))
        for number in range(rounds + 1):
            turn = {way: _run(way, url, count) for way in WAYS}
            # The first turn warms the server's code and caches, for all of them.
            part.timings += [turn] if number else []
    finally:
        output(PROGRAMS / "index_of_events.py", url, INDEX, "0")
    _report(part, count)


def _report(part: Part, count: int) -> None:
    rates = {way: [count / turn[way]["seconds"] for turn in part.timings] for way in WAYS}
    cpu = {way: median(turn[way]["cpu_seconds"] for turn in part.timings) for way in WAYS}
    part.lines = [f"pull: {count:,} events, {len(part.timings)} rounds; events a second"]
    part.lines += [
        f"  {way:15} median {median(found):>9,.0f}  best {max(found):>9,.0f}"
        f"  of the client's processor {count / cpu[way]:>9,.0f}"
        f"  peak {max(turn[way]['peak_mb'] for turn in part.timings):,.0f} MB"
        for way, found in rates.items()
    ]
    for ours, theirs, name in (
        ("ours", "scan", "records pulled, ours : helpers.scan"),
        (
            "ours to events",
            "scan to events",
            "events pulled, ours : helpers.scan and the same parser",
        ),
    ):
        ratios = [turn[theirs]["seconds"] / turn[ours]["seconds"] for turn in part.timings]
        part.expect(name, f">= {GOAL}", median(ratios), holds=median(ratios) >= GOAL)


def _run(way: str, url: str, count: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(output(PROGRAMS / "one_way.py", way, url, INDEX))
    if found["events"] != count:
        raise RuntimeError(f"{way} read {found['events']} events of {count}")
    return found
