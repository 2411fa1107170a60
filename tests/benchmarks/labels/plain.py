"""The same in plain pandas, as one would write it.

    python plain.py FOLDER TURNS [--impressions]

With `--impressions` it maximises over every impression, as the books write it; else over counts.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from stages import Stages

PAUSE = pd.Timedelta(minutes=30)


def main(folder: Path, turns: int, *, counted: bool) -> None:
    stages = Stages()
    with stages.timed("aggregate"):
        events = pd.read_parquet(folder)
        events["impression"] = (events["kind"] == "impression").astype("int64")
        events["click"] = (events["kind"] == "click").astype("int64")
        keys = ["query", "document_id", "position"]
        counts = events.groupby(keys)[["impression", "click"]].sum().reset_index()
        stages.found["rows"] = len(counts)
        if not counted:
            counts = _every_impression(counts)
        counts["pair"] = counts.groupby(["query", "document_id"]).ngroup()
    with stages.timed("sessionise"):
        visits = events[["client", "at"]].sort_values(["client", "at"])
        pause = visits.groupby("client")["at"].diff()
        session = (pause.isna() | (pause > PAUSE)).cumsum()
        stages.found["sessions"] = int(session.iloc[-1])
    with stages.timed("em"):
        theta = _maximised(counts, turns)
    stages.found["theta"] = theta.round(5).tolist()
    stages.report()


def _every_impression(counts: pd.DataFrame) -> pd.DataFrame:
    """One row an impression, the first ones of a document and place with the clicks."""
    rows = counts.loc[counts.index.repeat(counts["impression"])]
    number = rows.groupby(level=0).cumcount()
    return rows.assign(impression=1, click=(number < rows["click"]).astype("int64")).reset_index(
        drop=True
    )


def _maximised(counts: pd.DataFrame, turns: int) -> np.ndarray:
    """Fit a position-based model; the prior is worth one look and has the mean of the log."""
    place = counts["position"].rank(method="dense").astype(int) - 1
    n, c = counts["impression"], counts["click"]
    theta = pd.Series(1 / np.sqrt(np.arange(1.0, place.max() + 2)))
    alpha = pd.Series(0.2, index=range(counts["pair"].max() + 1))
    for _ in range(turns):
        t, a = theta.to_numpy()[place], alpha.to_numpy()[counts["pair"]]
        unclicked = (n - c) / (1 - t * a)
        counts["looked"] = c + unclicked * t * (1 - a)
        counts["attracted"] = c + unclicked * a * (1 - t)
        by_pair = counts.groupby("pair")[["attracted", "impression"]].sum()
        usual = (by_pair["attracted"].sum() + 0.2) / (by_pair["impression"].sum() + 1)
        alpha = (by_pair["attracted"] + usual) / (by_pair["impression"] + 1)
        by_place = counts.groupby("position")[["looked", "impression"]].sum()
        theta = (by_place["looked"] / by_place["impression"]).reset_index(drop=True)
        theta[0] = 1.0
    return theta.to_numpy()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), counted="--impressions" not in sys.argv)
