"""One step of an archive's way to judgments, in this process: what it took.

python one_step.py made|counted FOLDER ROWS ROWS_AT_ONCE
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import made_archive

from desireline.sidecar.archive.counts import count_archive
from desireline.sidecar.archive.event_archive import EventArchive
from desireline.trainer.clickmodels.position_based import PositionBased
from desireline.trainer.judgments import judge_counts
from desireline.trainer.sessions import SessionConfig


def made(folder: Path, rows: int, _: int) -> dict[str, Any]:
    return {"rows": made_archive.write(folder / "events", rows)}


def counted(folder: Path, _: int, at_once: int) -> dict[str, Any]:
    begun = time.perf_counter()
    with EventArchive(folder / "events").reading() as events:
        rows = events.joined_rows()
        counts = count_archive(events, None, SessionConfig(), folder, rows_at_once=at_once)
    seconds = {"count": round(time.perf_counter() - begun, 1)}
    begun = time.perf_counter()
    judgments = judge_counts(counts, PositionBased())
    seconds["judge"] = round(time.perf_counter() - begun, 1)
    return {
        "rows": rows,
        "places": counts.places.height,
        "judgments": judgments.frame.height,
        "seconds": seconds,
    }


def main(step: str, folder: Path, rows: int, at_once: int) -> None:
    begun, spent = time.perf_counter(), time.process_time()
    found = {"made": made, "counted": counted}[step](folder, rows, at_once)
    wall, cpu = time.perf_counter() - begun, time.process_time() - spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {"wall_s": round(wall, 1), "cpu_s": round(cpu, 1), "peak_mb": round(peak, 1)}
    print(json.dumps({**told, "rows_a_cpu_s": round(found["rows"] / cpu), **found}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
