"""Memory and time from a log into the event archive, and from there into sessions, at any size.

    python tests/benchmarks/archive.py [--events N] [--quick] [--rows N ...] [--json FILE]

The log is made as it is read: searches over 60 days, most in order, one in a hundred a day or
more late. Both steps run in processes of their own, first with a quarter of the events and then
with all, so that growth is told from what is needed anyway. What a session table holds grows
with its rows, up to `sessions.most_rows`; what a pull holds must not grow.

Then archives of several sizes (`--rows`, documents shown and clicked) are counted whole and
judged, which needs no sessions: what that holds must not grow either.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "archive"))

import counting
from apart.child import reply_of
from goals.held import conclude, goal

from desireline.connectors.events import Action, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.connectors.logs.files import FileLogsConfig
from desireline.sidecar.archive.event_archive import EventArchive
from desireline.sidecar.archive.pulling import pull_into
from desireline.sidecar.archive.sample import frames_within
from desireline.trainer.sessions import SessionConfig, join_sessions

EVENTS, QUICK_EVENTS = 4_000_000, 800_000
BATCH, DAYS, SHOWN = 5_000, 60, 10
ROWS, QUICK_ROWS = (1_000_000, 10_000_000), (200_000, 800_000)
START = datetime(2026, 3, 1, tzinfo=UTC)
STEPS = ("pull", "sessions")
#: Of one pull that is four times as large as another.
MOST_GROWTH_MB = 60.0


class MadeLog:
    """A log of so many events, half of them clicks, the same each time."""

    def __init__(self, events: int) -> None:
        self._batches = max(1, events // BATCH)

    def pull(self, since: Cursor | None = None) -> Iterator[LogBatch]:
        for number in range(int(since.token) if since else 0, self._batches):
            yield self._batch(number)

    def _batch(self, number: int) -> LogBatch:
        random = np.random.default_rng(number)
        days = DAYS * (number + random.random(BATCH // 2)) / self._batches
        late = np.where(random.random(len(days)) < 0.01, random.uniform(1, 5, len(days)), 0)
        ats = [START + timedelta(days=float(day)) for day in days - late]
        typed = (random.zipf(1.3, len(ats)) % 50_000).tolist()
        shown = random.integers(0, 40_000, (len(ats), SHOWN)).tolist()
        clients = random.integers(0, 200_000, len(ats)).tolist()
        queries = [
            Query(
                query_id=f"{number}-{row}",
                text=f"query number {typed[row]}",
                at=at,
                client=f"client-{clients[row]}",
                shown=tuple(f"document-{each}" for each in shown[row]),
            )
            for row, at in enumerate(ats)
        ]
        actions = [
            Action(
                query_id=query.query_id,
                document_id=query.shown[row % SHOWN],
                kind="click",
                at=query.at + timedelta(seconds=5),
                position=row % SHOWN + 1,
                client=query.client,
            )
            for row, query in enumerate(queries)
        ]
        return LogBatch(
            cursor=Cursor(str(number + 1)), queries=tuple(queries), actions=tuple(actions)
        )


def step(name: str, folder: Path, events: int) -> None:
    """Do one step in this process and tell what it took."""
    archive, begun = EventArchive(folder), time.perf_counter()
    if name == "pull":
        settings = FileLogsConfig(path="made")
        source = MadeLog(events)
        rows = pull_into(
            archive, source, settings=settings, clock=lambda: START + timedelta(days=DAYS)
        ).events
    else:
        with archive.reading() as kept:
            most_rows = SessionConfig().most_rows
            frames = frames_within(kept, None, most_rows=most_rows, seed=7)
        rows = join_sessions(frames).frame.height
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": rows, "seconds": round(seconds, 2), "peak_mb": round(peak, 1)}))


def measure(events: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run both steps at both sizes and return figures and goals."""
    found: dict[str, dict[str, Any]] = {}
    for size in (events // 4, events):
        with tempfile.TemporaryDirectory(prefix="desireline-archive-") as folder:
            for name in STEPS:
                arguments = ("--step", name, folder, "--events", str(size))
                found[f"{name} {size}"] = reply_of(Path(__file__), *arguments)
            kept = sum(path.stat().st_size for path in Path(folder).glob("*/*.parquet"))
            found[f"archive {size}"] = {"bytes_an_event": round(kept / size, 1)}
    small, large = found[f"pull {events // 4}"], found[f"pull {events}"]
    growth = large["peak_mb"] - small["peak_mb"]
    name = "memory a pull needs beyond that of a quarter of its events, MB"
    asked, holds = f"<= {MOST_GROWTH_MB}", growth <= MOST_GROWTH_MB
    return found, [goal(name, asked, growth, holds=holds, digits=1)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--events", type=int, help=f"how many events; {EVENTS:,} if not given")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_EVENTS:,} events")
    parser.add_argument("--rows", type=int, nargs="*", help="sizes of the archives to count")
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    events = asked.events or (QUICK_EVENTS if asked.quick else EVENTS)
    if asked.step:
        step(asked.step[0], Path(asked.step[1]), events)
        return 0
    rows = asked.rows if asked.rows is not None else QUICK_ROWS if asked.quick else ROWS
    found, goals = measure(events)
    counted, more = counting.measure(tuple(rows))
    told = {"found": found, "counted": counted}
    print(json.dumps(told, indent=1))
    return conclude("archive", goals + more, quick=asked.quick, file=asked.json, **told)


if __name__ == "__main__":
    sys.exit(main())
