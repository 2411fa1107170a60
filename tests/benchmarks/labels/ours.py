"""desireline's way: count, and tell visits apart, in streams; then maximise over the counts.

    python ours.py FOLDER TURNS

The prior is worth one look, as in the plain version. A visit is what the plain version calls a
session: it ends with a silence of its client of more than half an hour.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl
from stages import Stages

from desireline.trainer.clickmodels.click_log import ClickLog
from desireline.trainer.clickmodels.examination_em import first_guess
from desireline.trainer.clickmodels.position_based import PositionBased, PositionBasedConfig
from desireline.trainer.logs.visits import count_visits

PAUSE_S = 1800


def main(folder: Path, turns: int) -> None:
    events = pl.scan_parquet(folder / "*.parquet")
    stages = Stages()
    with stages.timed("aggregate"):
        log = ClickLog.of_events(events)
        arrays = log.arrays
    with stages.timed("sessionise"):
        stages.found["sessions"] = count_visits(events, PAUSE_S)
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
