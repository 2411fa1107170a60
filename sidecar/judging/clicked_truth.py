"""Held-out clicks as the truth a candidate is judged by, and its four cells."""

from collections.abc import Mapping

import polars as pl

from desireline.sidecar.judging.evidence import HeldOutTruth, LoggedSearches
from desireline.trainer.evaluation import by_frequency
from desireline.trainer.judging.click_truth import corrected_qrels, estimate_noise
from desireline.trainer.judging.presentable import presentable_clicks
from desireline.trainer.measures.base import Qrels
from desireline.trainer.sessions import SessionConfig
from desireline.trainer.splits import Split

#: More held-out queries make the evaluation slower and the interval hardly narrower.
_MOST_HELD_OUT = 2_000
_MOST_RETURNING = 1_000


def truth_of_clicks(split: Split, *, seed: int, enough: SessionConfig) -> HeldOutTruth:
    """Say what clicks of held-out queries mean, by how users of the training part look and err.

    No encoder has a say in it: the incumbent's own opinion must not be in the truth that it is
    judged by. Queries that training holds are told apart in the cells and decide nothing.

    Args:
        split: of the log.
        seed: of what is drawn where there is more than needed.
        enough: how many clients a query, and a click, needs before people may see it.

    """
    noise = estimate_noise(split.train)
    judging = split.judging
    qrels = corrected_qrels(judging, noise, most=_MOST_HELD_OUT, seed=seed)
    newest = corrected_qrels(split.held_out, noise, most=_MOST_HELD_OUT, seed=seed)
    returning = corrected_qrels(split.returning, noise, most=_MOST_RETURNING, seed=seed)
    searches = judging.frame.group_by("query").agg(pl.col("query_id").n_unique())
    return HeldOutTruth(
        qrels=qrels,
        segments=by_frequency({query: n for query, n in searches.iter_rows() if query in qrels}),
        presentable=presentable_clicks(
            qrels,
            judging.frame,
            min_clients=enough.min_clients,
            min_pair_clients=enough.min_pair_clients,
        ),
        newest={query: grades for query, grades in newest.items() if query in qrels},
        log=LoggedSearches(
            sessions=judging,
            examination={place: p for place, p in noise.examination.items() if place > 0},
        ),
        cells=_cells({"unseen": qrels, "seen": returning}, _taught(split)),
    )


def _taught(split: Split) -> frozenset[str]:
    """Return the documents that were clicked where training looks."""
    clicked = split.train.frame.filter("clicked").get_column("document_id").unique()
    return frozenset(clicked.to_list())


def _cells(qrels: Mapping[str, Qrels], taught: frozenset[str]) -> dict[str, Qrels]:
    """Divide each truth by whether training has seen the document clicked."""
    return {
        f"{query} query, {document} document": {
            text: {key: grade for key, grade in grades.items() if (key in taught) is known}
            for text, grades in truth.items()
        }
        for query, truth in qrels.items()
        for document, known in (("seen", True), ("unseen", False))
    }
