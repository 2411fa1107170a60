"""One turn of the position-based model, over the same pages: PyClick, a plain loop, and ours.

python peer.py EVENTS [FOLDER OF PYCLICK]
"""

import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import synthetic_events
from synthetic_events import SHOWN

from desireline.trainer.clickmodels.click_log import ClickLog
from desireline.trainer.clickmodels.examination_em import first_guess
from desireline.trainer.clickmodels.position_based import PositionBased

ROUNDS, AT_ONCE = 3, 2
Page = tuple[str, list[str], list[bool]]


def pages_of(count: int) -> list[Page]:
    """Read back what was shown: each page is one row after the other at positions 1 to 20."""
    with tempfile.TemporaryDirectory() as name:
        synthetic_events.write(Path(name), count)
        frame = pl.read_parquet(Path(name) / "*.parquet")
    keys = ["client", "query", "document_id", "position"]
    clicks = frame.filter(pl.col("kind") == "click").select(keys).unique()
    seen = frame.filter(pl.col("kind") == "impression").join(
        clicks.with_columns(clicked=pl.lit(value=True)), on=keys, how="left"
    )
    begun = pl.col("at") - pl.duration(milliseconds=200) * (pl.col("position") - 1)
    pages = (
        seen.group_by("client", "query", begun=begun, maintain_order=True)
        .agg(pl.col("document_id", "clicked").sort_by("position"))
        .filter(pl.col("document_id").list.len() == SHOWN)
    )
    return [
        (query, documents, [bool(click) for click in clicked])
        for query, documents, clicked in pages.select("query", "document_id", "clicked").iter_rows()
    ]


def ours(pages: list[Page]) -> Callable[[], object]:
    rows = [
        (view, query, document, place, True, click, 1.0)
        for view, (query, documents, clicks) in enumerate(pages)
        for place, (document, click) in enumerate(zip(documents, clicks, strict=True), 1)
    ]
    names = ["view", "query", "document_id", "position", "shown", "clicked", "share"]
    arrays = ClickLog(pl.DataFrame(rows, schema=names, orient="row")).arrays
    model, state = PositionBased(), [first_guess(SHOWN), np.full(arrays.pairs.height, 0.2)]

    def turn() -> None:
        state[:] = model.step(arrays, *state)

    return turn


def plain(pages: list[Page]) -> Callable[[], object]:
    attraction: dict[tuple[str, str], float] = {}
    examination = [0.5] * SHOWN

    def turn() -> None:
        hits: dict[tuple[str, str], float] = {}
        seen: dict[tuple[str, str], int] = {}
        looked = [0.0] * SHOWN
        for query, documents, clicks in pages:
            for place, (document, click) in enumerate(zip(documents, clicks, strict=True)):
                a, e = attraction.get((query, document), 0.5), examination[place]
                hits[query, document] = hits.get((query, document), 1.0) + (
                    1.0 if click else a * (1 - e) / (1 - a * e)
                )
                seen[query, document] = seen.get((query, document), 2) + 1
                looked[place] += 1.0 if click else e * (1 - a) / (1 - a * e)
        attraction.update({pair: hits[pair] / seen[pair] for pair in hits})
        examination[:] = [min((each + 1) / (len(pages) + 2), 1 - 1e-6) for each in looked]

    return turn


def pyclick(pages: list[Page], folder: str) -> Callable[[], object]:
    sys.path.insert(0, folder)
    session = importlib.import_module("pyclick.search_session.SearchSession").SearchSession
    result = importlib.import_module("pyclick.search_session.SearchResult").SearchResult
    containers = importlib.import_module("pyclick.click_models.ParamContainer")
    containers.RankParamContainer.MAX_RANK_DEFAULT = SHOWN
    inference = importlib.import_module("pyclick.click_models.Inference").EMInference(1)
    model = importlib.import_module("pyclick.click_models.PBM").PBM()
    sessions = []
    for query, documents, clicks in pages:
        one = session(query)
        one.web_results = [
            result(document, int(click)) for document, click in zip(documents, clicks, strict=True)
        ]
        sessions.append(one)
    return lambda: inference.infer_params(model, sessions)


def main(count: int, folder: str | None) -> None:
    pages = pages_of(count)
    ways = {"desireline": ours(pages), "plain loop": plain(pages)}
    if folder:
        ways["PyClick"] = pyclick(pages, folder)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, turn in ways.items():
            start = time.perf_counter()
            for _ in range(AT_ONCE):
                turn()
            seconds[name].append((time.perf_counter() - start) / AT_ONCE)
    peer = "PyClick" if folder else "plain loop"
    print(json.dumps({"seconds": seconds, "peer": peer, "pages": len(pages)}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
