"""desireline's way: count and number sessions in streams, then maximise over the counts.

    python ours.py FOLDER TURNS

The prior is worth one look, as in the plain version. The sessions are numbered as
`trainer/sessions.py` finds dwell: by the pause of one client.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl
from stages import Stages

from desireline.trainer.clickmodels.click_log import ClickLog
from desireline.trainer.clickmodels.examination_em import first_guess
from desireline.trainer.clickmodels.position_based import PositionBased, PositionBasedConfig

PAUSE = pl.duration(minutes=30)
PARTS = 4


def main(folder: Path, turns: int) -> None:
    events = pl.scan_parquet(folder / "*.parquet")
    stages = Stages()
    with stages.timed("aggregate"):
        log = ClickLog.of_events(events)
        arrays = log.arrays
    with stages.timed("sessionise"):
        pauses = (pl.col("at").sort().diff() > PAUSE).sum()
        stages.found["sessions"] = 0
        for part in range(PARTS):  # a client's events are all in one part
            chosen = events.filter(pl.col("client").hash() % PARTS == part)
            sessions = chosen.group_by("client").agg(sessions=pauses + 1).select("sessions").sum()
            stages.found["sessions"] += int(sessions.collect(engine="streaming").item())
    with stages.timed("em"):
        model = PositionBased(PositionBasedConfig(prior_strength=1))
        theta = first_guess(len(arrays.positions))
        alpha = np.full(arrays.pairs.height, 0.2)
        for _ in range(turns):
            theta, alpha = model.step(arrays, theta, alpha)
    stages.found |= {"rows": len(arrays.pair), "theta": theta.round(5).tolist()}
    stages.report()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
