"""Logs that hold clicks and nothing of what was shown: what users must have seen beside."""

from typing import Literal

import polars as pl

#: How much of a page to fill in: all of it, or what users who read from the top passed over.
Extent = Literal["page", "last_click"]


def is_click_only(rows: pl.DataFrame) -> bool:
    """Say whether no row of a log says that anything was shown."""
    return rows.height > 0 and not rows.get_column("shown").any()


def with_imputed_impressions(rows: pl.DataFrame, extent: Extent = "page") -> pl.DataFrame:
    """Add to each execution of a query what its user must have been shown.

    Assumption: a position without a click held what other users clicked there for the same query,
    most often, if that was not clicked elsewhere on the page. Where clicks carry no position, every
    document that others clicked for the query was shown, nobody knows where. A document that
    nobody ever clicked is never shown: of it such a log knows nothing.

    With the extent "page" it is left to the click model to say how far down users looked; with
    "last_click" they looked down to their last click and no further, which flatters documents that
    are clicked rarely and far down: they are only there when they are clicked.

    Args:
        rows: view, query, document_id, position, shown, clicked, share (`ClickLog.rows`).
        extent: how much of a page to fill in.

    Returns:
        The same columns; all shown.

    """
    clicks = rows.filter("clicked").with_columns(shown=pl.lit(value=True))
    placed = clicks.filter(pl.col("position").is_not_null())
    passed = pl.concat([_placed(placed, extent), _elsewhere(clicks)])
    added = (
        passed.join(clicks, on=["view", "document_id"], how="anti")
        .unique(["view", "document_id"], keep="first", maintain_order=True)
        .with_columns(shown=pl.lit(value=True), clicked=pl.lit(value=False))
    )
    return pl.concat([clicks, added.select(clicks.columns)]).sort(
        "view", "position", "document_id", nulls_last=True
    )


def _placed(placed: pl.DataFrame, extent: Extent) -> pl.DataFrame:
    """List what usually stood where a view has no click."""
    usual = (
        placed.group_by("query", "position", "document_id")
        .agg(seen=pl.col("share").sum())
        .sort("query", "position", "seen", "document_id", descending=[False, False, True, False])
        .unique(["query", "position"], keep="first", maintain_order=True)
        .drop("seen")
    )
    views = placed.group_by("view", "query", maintain_order=True).agg(
        last=pl.col("position").max(), share=pl.col("share").first()
    )
    return (
        views.join(usual, on="query")
        .filter(pl.lit(extent == "page") | (pl.col("position") < pl.col("last")))
        .join(placed, on=["view", "position"], how="anti")
        .select("view", "query", "document_id", "position", "share")
        .sort("view", "position")
    )


def _elsewhere(clicks: pl.DataFrame) -> pl.DataFrame:
    """List what others clicked for the queries of views whose clicks carry no position."""
    known = clicks.select("query", "document_id").unique().sort("query", "document_id")
    return (
        clicks.group_by("view", "query", maintain_order=True)
        .agg(pl.col("share").first(), placed=pl.col("position").is_not_null().any())
        .filter(~pl.col("placed"))
        .join(known, on="query", maintain_order="left_right")
        .select(
            "view",
            "query",
            "document_id",
            pl.lit(None, dtype=pl.Int32).alias("position"),
            "share",
        )
    )
