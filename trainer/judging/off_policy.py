"""How many clicks another ranking would have got, by a log that it did not make."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from desireline.trainer.measures.base import Run
from desireline.trainer.sessions import Sessions

#: One impression counts for no more than this many.
_CLIP = 10.0
#: With fewer effective searches an estimate is a guess.
_FEW = 100.0
_LEAST_COVERED = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedClicks:
    """Clicks a search that a ranking would get, and how far that is to be believed."""

    clicks_a_search: float
    standard_error: float
    #: Searches in the log, and how many evenly weighted ones theirs are worth (Kish).
    searches: int
    effective: float
    #: Share of what users would look at that the log has shown them for the same query.
    covered: float

    @property
    def warning(self) -> str:
        """Why the estimate is hardly one; empty where it may be believed."""
        if self.effective < _FEW:
            return (
                f"{self.searches:,} searches are worth {self.effective:.0f} evenly weighted ones;"
                f" with fewer than {_FEW:.0f} this is a guess"
            )
        if self.covered < _LEAST_COVERED:
            return f"the log has shown {self.covered:.0%} of what users would look at"
        return ""


def expected_clicks(
    sessions: Sessions, run: Run, examination: Mapping[int, float]
) -> ExpectedClicks | None:
    """Estimate clicks by self-normalised, clipped inverse propensities of positions.

    Under the position-based model a document at position p is clicked with probability theta(p)
    times its appeal. A click at p counts theta(p') / theta(p) where the ranking would show the
    document at p' (Li et al. 2018), at most ten; the sum is divided by what the weights say was
    looked at and multiplied by what users look at on the ranking's page (Swaminathan and Joachims
    2015). So documents that the log never showed are taken to be as good as the others of the
    ranking: what they are is not in the log. None where the log shows nothing with its position.

    Args:
        sessions: searches whose queries the run answers; others are left out.
        run: the ranking.
        examination: probability that a position is looked at, by position from 1.

    """
    rows = _weighed(sessions, run, examination)
    if rows.is_empty() or not rows.get_column("looked").sum():
        return None
    by_search = rows.group_by("query_id", maintain_order=True).agg(
        pl.col("query").first(), pl.col("clicks").sum(), pl.col("looked").sum()
    )
    page = [
        sum(examination.get(place, 0.0) for place in range(1, len(run[query]) + 1))
        for query in by_search.get_column("query")
    ]
    clicks = by_search.get_column("clicks").to_numpy()
    looked = by_search.get_column("looked").to_numpy()
    rate, mean_page = clicks.sum() / looked.sum(), float(np.mean(page))
    residual = clicks - rate * looked
    weights = rows.get_column("weight").to_numpy()
    share = weights.sum() ** 2 / (weights**2).sum() / len(weights)
    return ExpectedClicks(
        clicks_a_search=float(rate * mean_page),
        standard_error=float(np.sqrt((residual**2).sum()) / looked.sum() * mean_page),
        searches=by_search.height,
        effective=float(share * by_search.height),
        covered=float(min(1.0, looked.sum() / max(sum(page), 1e-12))),
    )


def _weighed(sessions: Sessions, run: Run, examination: Mapping[int, float]) -> pl.DataFrame:
    """One row an impression whose position is known, with its clipped weight."""
    places = pl.DataFrame(
        [
            (query, document_id, place)
            for query, ranked in run.items()
            for place, document_id in enumerate(ranked, 1)
        ],
        schema={"query": pl.String, "document_id": pl.String, "place": pl.Int64},
        orient="row",
    )

    def theta(name: str) -> pl.Expr:
        return pl.col(name).replace_strict(dict(examination), default=0.0, return_dtype=pl.Float64)

    return (
        sessions.frame.filter(
            pl.col("shown")
            & pl.col("position").is_in(list(examination))
            & pl.col("query").is_in(list(run))
        )
        .join(places, on=["query", "document_id"], how="left")
        .with_columns(before=theta("position"), after=theta("place").fill_null(0.0))
        .filter(pl.col("before") > 0)
        .with_columns(weight=(pl.col("after") / pl.col("before")).clip(upper_bound=_CLIP))
        .with_columns(
            clicks=pl.col("weight") * pl.col("clicked"), looked=pl.col("weight") * pl.col("before")
        )
    )
