"""Searches that one person made one after the other, while they were at it."""

import polars as pl

from desireline.trainer.sessions import Sessions


def retries(sessions: Sessions, *, pause_s: float, steps: int) -> pl.DataFrame:
    """Pair each search without a click with those that the same client made next.

    Only clients with a name can be told apart. A click ends the search for it: what is typed
    after the first click belongs to another want.

    Args:
        sessions: joined searches; those that found nothing are among `sessions.unanswered`.
        pause_s: a longer silence between two searches ends the visit.
        steps: how many searches later the click may come.

    Returns:
        Columns query, retry, document_id, clients (distinct ones who did so), times; sorted.

    """
    searches = _searches(sessions)
    clicked = sessions.frame.filter("clicked").select("query_id", "document_id")
    found = [_later(searches, step, pause_s) for step in range(1, steps + 1)]
    return (
        pl.concat(found)
        .join(clicked, left_on="retry_id", right_on="query_id")
        .group_by("query", "retry", "document_id")
        .agg(clients=pl.col("client").n_unique(), times=pl.len())
        .sort("query", "retry", "document_id")
    )


def _searches(sessions: Sessions) -> pl.DataFrame:
    """One row a search of a named client, in the order of each client's visit."""
    answered = sessions.frame.group_by("query_id").agg(
        pl.col("query", "client", "at").first(), pl.col("clicked").any()
    )
    unanswered = sessions.unanswered.select(
        "query_id", "query", "client", "at", clicked=pl.lit(value=False)
    )
    return (
        pl.concat([answered, unanswered])
        .filter(pl.col("client") != "")
        .sort("client", "at", "query_id")
    )


def _later(searches: pl.DataFrame, step: int, pause_s: float) -> pl.DataFrame:
    """Match each search with the one `step` later, where nothing between them was clicked."""
    own = ["query", "query_id", "at"]
    shifted = searches.with_columns(
        pl.col(name).shift(-step).over("client").alias(f"later_{name}") for name in own
    )
    for between in range(step):
        shifted = shifted.with_columns(
            pl.col("clicked").shift(-between).over("client").alias(f"clicked_{between}")
        )
    gap = (pl.col("later_at") - pl.col("at")).dt.total_milliseconds() / 1000
    quiet = [~pl.col(f"clicked_{between}") for between in range(step)]
    return shifted.filter(
        *quiet, gap <= pause_s * step, pl.col("query") != pl.col("later_query")
    ).select("client", "query", retry="later_query", retry_id="later_query_id")
