"""What click models eat: equal impressions counted once, and equal pages counted once.

Some models need only how often each document was clicked at each position; others need the order
of the clicks on a page. Both views of a log are made when they are first asked for, and kept.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from desireline.trainer.clickmodels.users import Booleans, Indices, Numbers
from desireline.trainer.logs.streaming import streamed

#: Key of the examination of documents that were shown nobody knows where.
UNKNOWN_POSITION = 0
#: Answers of one page below this many tell models that read from the top nothing.
_MOST_RANKS = 100

#: One row a document of one execution of a query.
ROWS = {
    "view": pl.UInt32,
    "query": pl.String,
    "document_id": pl.String,
    "position": pl.Int32,
    "shown": pl.Boolean,
    "clicked": pl.Boolean,
    "share": pl.Float64,
}
_KEY = ("query", "document_id", "position", "shown")


@dataclass(frozen=True, kw_only=True)
class CountArrays:
    """The counts as arrays: one entry a row, pairs and positions numbered."""

    #: Columns query, document_id, impressions, clicks; sorted.
    pairs: pl.DataFrame
    #: Row to pair.
    pair: Indices
    #: Row to number of the position; 0 is the top-most position that was shown.
    place: Indices
    impressions: Numbers
    clicks: Numbers
    #: False for clicks on what the log does not say was shown.
    shown: NDArray[np.bool_]
    #: Ascending; `UNKNOWN_POSITION`, if any, is the last.
    positions: tuple[int, ...]

    def by_pair(self, values: Numbers) -> Numbers:
        """Add up the values of each pair's rows."""
        sums = np.bincount(self.pair, values, minlength=self.pairs.height)
        return sums.astype(np.float64, copy=False)

    def by_place(self, values: Numbers) -> Numbers:
        """Add up the values of each position's rows."""
        sums = np.bincount(self.place, values, minlength=len(self.positions))
        return sums.astype(np.float64, copy=False)

    @cached_property
    def seen_by_pair(self) -> Numbers:
        """Impressions of each pair."""
        return self.by_pair(self.impressions)

    @cached_property
    def shown_by_place(self) -> Numbers:
        """Impressions of each position, of what the log says was shown."""
        return self.by_place(self.impressions * self.shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Distinct pages with their clicks: shape (pages, ranks), rank 0 on top.

    Two executions of a query are one page when they showed the same documents at the same
    positions and the same ones were clicked. Nothing is lost: a click model cannot tell them
    apart.
    """

    #: Number of the pair in `ClickLog.pairs`; 0 where a page is shorter than the longest.
    pair: Indices
    position: Indices
    clicked: Booleans
    #: Whether there is a document at all.
    there: Booleans
    #: How often the page was seen, shape (pages,).
    count: Numbers

    @property
    def last_click(self) -> Indices:
        """Rank of the lowest click of each page; -1 without any. Shape (pages,)."""
        ranks = np.arange(1, self.clicked.shape[1] + 1)
        return np.asarray((self.clicked * ranks).max(axis=1, initial=0) - 1, dtype=np.intp)


class ClickLog:
    """A log as click models see it.

    `rows` holds one row a document of one execution of a query (`ROWS`): view (which execution),
    query, document_id, position (null where unknown), shown, clicked, share (what the execution
    counts: 1, or less as it grows old).
    """

    def __init__(self, rows: pl.DataFrame) -> None:
        self._rows: pl.DataFrame | None = rows.select(
            pl.col(name).cast(kind) for name, kind in ROWS.items()
        )
        self._counts: pl.DataFrame | None = None

    @classmethod
    def of_events(cls, events: pl.LazyFrame) -> "ClickLog":
        """Count flat events in one pass over files of any size; memory holds the counts alone.

        What one execution of a query showed is not kept: this is for models that count.

        Args:
            events: one row an event: query, document_id, position (null where unknown), kind
                ("impression" or "click"; others say nothing). A click is taken to be one of an
                impression that the log holds too.

        """
        kind = pl.col("kind")
        names = pl.col("query", "document_id")
        counts = streamed(
            events.filter(kind.is_in(["impression", "click"]))
            .with_columns(names.cast(pl.Categorical))  # half the memory of grouping texts
            .group_by("query", "document_id", "position")
            .agg(
                impressions=(kind == "impression").sum(),
                clicks=(kind == "click").sum(),
            )
            .with_columns(
                shown=pl.lit(value=True),
                impressions=pl.max_horizontal("impressions", "clicks"),
            )
        )
        counts = (
            _ranked(counts, "query", "document_id")
            .sort(_KEY)
            .select(
                names.cast(pl.String),
                *_KEY[2:],
                pl.col("impressions", "clicks").cast(pl.Float64),
            )
        )
        log = cls.of_counts(counts)
        log.counts = counts
        return log

    @classmethod
    def of_counts(cls, counts: pl.DataFrame) -> "ClickLog":
        """Make a log of nothing but counts: every document is then a page of its own.

        Args:
            counts: one row a (query, document_id, position, shown) with impressions and clicks;
                position is null where unknown; a document clicked without being shown has
                shown = False and as many impressions as clicks.

        """
        log = cls(pl.DataFrame(schema=ROWS))
        log._rows, log._counts = None, counts
        return log

    @cached_property
    def rows(self) -> pl.DataFrame:
        """One row a document of one execution of a query."""
        if self._rows is not None:
            return self._rows
        counted = pl.concat(
            self.counts.select(*_KEY, clicked=pl.lit(clicked), share=share)
            for clicked, share in (
                (True, pl.col("clicks")),
                (False, pl.col("impressions") - pl.col("clicks")),
            )
        )
        numbered = counted.filter(pl.col("share") > 0).with_row_index("view")
        return numbered.select(pl.col(name).cast(kind) for name, kind in ROWS.items())

    @cached_property
    def counts(self) -> pl.DataFrame:
        """Impressions and clicks by query, document_id, position and shown; sorted."""
        counted = self._counts
        if counted is None:
            counted = self.rows.select(
                *_KEY, impressions="share", clicks=pl.col("share") * pl.col("clicked")
            )
        return (
            counted.lazy()
            .select(
                "query",
                "document_id",
                pl.when("shown").then("position").cast(pl.Int32).alias("position"),
                "shown",
                pl.col("impressions", "clicks").cast(pl.Float64),
            )
            .group_by(_KEY)
            .agg(pl.col("impressions", "clicks").sum())
            .sort(_KEY)
            .collect()
        )

    @cached_property
    def pairs(self) -> pl.DataFrame:
        """Columns query, document_id, impressions, clicks; sorted by the first two."""
        names = self.counts.select("query", "document_id").filter(self._begins)
        sums = (
            np.bincount(self._pair, self.counts.get_column(name).to_numpy(), names.height)
            for name in ("impressions", "clicks")
        )
        return names.with_columns(
            pl.Series(name, values, dtype=pl.Float64)
            for name, values in zip(("impressions", "clicks"), sums, strict=True)
        )

    @cached_property
    def _begins(self) -> pl.Series:
        """Whether each row of the counts is the first one of its pair."""
        changes = (pl.col(name) != pl.col(name).shift() for name in ("query", "document_id"))
        return self.counts.select(pl.any_horizontal(*changes).fill_null(value=True)).to_series()

    @cached_property
    def _pair(self) -> Indices:
        """Number the pair of each row of the counts, which are sorted by pair."""
        return np.asarray(np.cumsum(self._begins.to_numpy()) - 1, dtype=np.intp)

    @cached_property
    def arrays(self) -> CountArrays:
        """The counts, pairs and positions numbered; unknown positions come last."""
        counts = self.counts
        position = counts.get_column("position").fill_null(UNKNOWN_POSITION).to_numpy()
        found, place = np.unique(position, return_inverse=True)
        if len(found) and found[0] == UNKNOWN_POSITION:
            found, place = np.roll(found, -1), (place - 1) % len(found)
        return CountArrays(
            pairs=self.pairs,
            pair=self._pair,
            place=place.astype(np.intp),
            impressions=counts.get_column("impressions").to_numpy(),
            clicks=counts.get_column("clicks").to_numpy(),
            shown=counts.get_column("shown").to_numpy().astype(np.bool_),
            positions=tuple(found.tolist()),
        )

    @cached_property
    def positions(self) -> Indices:
        """The known positions at which something was shown, ascending."""
        known = [each for each in self.arrays.positions if each != UNKNOWN_POSITION]
        return np.array(known, dtype=np.intp)

    @cached_property
    def pages(self) -> Pages:
        """The distinct pages: of every execution what was shown at a known position."""
        placed = self.rows.filter(pl.col("shown") & pl.col("position").is_not_null())
        pages = (
            self._with_pair(placed)
            .lazy()
            .sort("view", "position", "pair")
            .group_by("view", maintain_order=True)
            .agg(pl.col("pair", "position", "clicked").head(_MOST_RANKS), pl.col("share").first())
            .group_by("pair", "position", "clicked", maintain_order=True)
            .agg(count=pl.col("share").sum())
            .collect()
        )
        return _as_matrices(pages)

    def place(self, position: Indices) -> Indices:
        """Give positions the numbers of `positions`; others, that of the one above."""
        number = np.searchsorted(self.positions, position, side="right") - 1
        return np.maximum(number, 0).astype(np.intp)

    def _with_pair(self, frame: pl.DataFrame) -> pl.DataFrame:
        number = self.pairs.select("query", "document_id").with_row_index("pair")
        return frame.join(number, on=["query", "document_id"])


def _ranked(frame: pl.DataFrame, *names: str) -> pl.DataFrame:
    """Give texts their rank: few differ, so rows are sorted by numbers in half the time."""
    return frame.with_columns(
        pl.col(name).cast(pl.Enum(frame.get_column(name).unique().cast(pl.String).sort()))
        for name in names
    )


def _as_matrices(pages: pl.DataFrame) -> Pages:
    length = pages.get_column("pair").list.len().to_numpy().astype(np.intp)
    there = np.arange(length.max(initial=0)) < length[:, None]
    return Pages(
        pair=_matrix(pages.get_column("pair"), there).astype(np.intp),
        position=_matrix(pages.get_column("position"), there).astype(np.intp),
        clicked=_matrix(pages.get_column("clicked"), there).astype(np.bool_),
        there=there,
        count=pages.get_column("count").to_numpy().astype(np.float64),
    )


def _matrix(lists: pl.Series, there: Booleans) -> NDArray[np.int64]:
    """Lay lists out as rows, filled up with zeros."""
    matrix = np.zeros(there.shape, dtype=np.int64)
    matrix[there] = lists.explode().to_numpy() if there.any() else 0
    return matrix
